"""Time, memory and disk of a corpus on its way to BM25's pools: `python -m benchmarks.streaming --help`.

The passages are synthetic, of as many words as MS MARCO's. Memory should not grow with the corpus; time and disk should
grow with it, and the last row is arithmetic: MS MARCO was not built.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.synthetic_corpus import MS_MARCO, synthetic_texts
from dataset_builder.build.folder import BuildFolder
from retrieval.errors import InputError, run_cli

ENVIRONMENT = {**os.environ, "OPENAI_API_KEY": "unused: --dry_run sends nothing"}


@dataclass(frozen=True)
class Measured:
    """A build up to its pools over a corpus."""

    num_passages: int
    seconds: float
    peak_mib: float | None
    store_gb: float
    index_gb: float


def main() -> None:
    """Build the pools over corpora of growing size, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000], help="passages")
    parser.add_argument("--num_queries", type=int, default=1000)
    arguments = parser.parse_args()
    print("| passages | seconds | peak memory, MiB | passage store, GB | Lucene index, GB |")
    print("| --- | --- | --- | --- | --- |")
    measured = [_measure(size, arguments.num_queries) for size in arguments.sizes]
    print(_row(_extrapolated(measured[-1])))


def _measure(num_passages: int, num_queries: int) -> Measured:
    with tempfile.TemporaryDirectory() as work:
        corpus, folder = Path(work) / "corpus.tsv", BuildFolder(Path(work) / "out")
        with corpus.open("w") as file:
            file.writelines(
                f"{number}\t{text}\n" for number, text in enumerate(synthetic_texts(num_passages))
            )
        command = [sys.executable, "-m", "dataset_builder", "build", "--profile", "offline",
                   "--corpus", str(corpus), "--num_queries", str(num_queries), "--query_types", "cropped",
                   "--retrievers", "bm25", "--teacher", "openai:gpt-4o-mini", "--dry_run",
                   "--output_dir", str(folder.root),
                   "--artifacts", str(Path(work) / "artifacts")]  # fmt: skip
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise InputError(f"the build failed: {' '.join(command)}")
        seconds = time.perf_counter() - begun
        measured = Measured(
            num_passages, seconds, usage.ru_maxrss / 1024, _gb(folder.passages), _gb(folder.lucene)
        )
    print(_row(measured), flush=True)
    return measured


def _extrapolated(largest: Measured) -> Measured:
    factor = MS_MARCO / largest.num_passages
    return Measured(
        MS_MARCO, largest.seconds * factor, None, largest.store_gb * factor, largest.index_gb * factor
    )


def _gb(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e9


def _row(measured: Measured) -> str:
    peak = "not run" if measured.peak_mib is None else f"{measured.peak_mib:.0f}"
    return (
        f"| {measured.num_passages:,} | {measured.seconds:.0f} | {peak} "
        f"| {measured.store_gb:.2f} | {measured.index_gb:.2f} |"
    )


if __name__ == "__main__":
    run_cli(main)
