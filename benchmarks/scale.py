"""Time, memory and disk of storing, encoding, indexing and searching a corpus: `python -m benchmarks.scale --help`.

The product's own code, over synthetic passages and with small seeded models of SPLADE's and DRAGON's architectures.
Each part has a process of its own, one thread, and a Java heap of 256 MiB. With `--kill`, the parts that encode are
killed when nine tenths of their shards are there, and started again. The last rows are arithmetic from the two largest
sizes.
"""

import argparse
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.synthetic_corpus import MS_MARCO
from retrieval.errors import InputError, run_cli
from retrieval.retrievers.encoded_shards import SHARD_SIZE

PARTS = ("store", "bm25", "splade", "dragon", "search")
HEAP = "-Xmx256m"
ENVIRONMENT = {
    **os.environ, "JAVA_TOOL_OPTIONS": HEAP, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
}  # fmt: skip
KILLED_AT = 0.9
MEASURES = ("seconds", "CPU seconds", "peak memory, MiB", "disk, GB")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a part took. `label`: the part, and what was done to it. `values`: as `MEASURES`."""

    num_passages: int
    part: str
    label: str
    values: tuple[float, ...]

    def __str__(self) -> str:
        """A row of the table."""
        seconds, cpu, peak, disk = self.values
        return (
            f"| {self.num_passages:,} | {self.label} | {seconds:.0f} | {cpu:.0f} | {peak:.0f} | {disk:.3f} |"
        )


def main() -> None:
    """Measure each part at each size, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[100_000, 300_000, 1_000_000], help="passages"
    )
    parser.add_argument("--words", type=int, default=24, help="words a passage; MS MARCO's have 56")
    parser.add_argument("--kill", action="store_true", help="kill and start again the parts that encode")
    parser.add_argument("--work", type=Path, help="folder for the files, which need gigabytes")
    arguments = parser.parse_args()
    print(f"| passages | part | {' | '.join(MEASURES)} |\n|{' --- |' * (2 + len(MEASURES))}")
    measured = []
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            for part in PARTS:
                measured.append(_measure(part, size, arguments.words, Path(folder), arguments.kill))
                print(measured[-1], flush=True)
    if len(arguments.sizes) > 1:
        for part in PARTS:
            print(_arithmetic([each for each in measured if each.part == part][-2:]))


def _measure(part: str, size: int, words: int, folder: Path, kill: bool) -> Measured:
    command = [sys.executable, "-m", "benchmarks.scale_parts", part, str(size), str(words), str(folder)]
    before, begun, log = _gb(folder), time.perf_counter(), folder / f"{part}.log"
    label, usages = part, []
    if kill and part in ("splade", "dragon"):
        whole, usage = _kill_late(command, log, folder / f"{part}.shards", size)
        label, usages = f"{part}, killed after {whole} of {_num_shards(size)} shards", [usage]
    process = _start(command, log)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        kept = shutil.copy(log, tempfile.gettempdir())
        raise InputError(f"{part} failed at {size:,} passages; {kept} says why")
    usages.append(usage)
    seconds, cpu = time.perf_counter() - begun, sum(each.ru_utime + each.ru_stime for each in usages)
    peak = max(each.ru_maxrss for each in usages) / 1024
    return Measured(size, part, label, (seconds, cpu, peak, _gb(folder) - before))


def _kill_late(
    command: Sequence[str], log: Path, shards: Path, size: int
) -> tuple[int, resource.struct_rusage]:
    """Run until nine tenths of the shards are there, and kill: how many were whole, and what it took."""
    process = _start(command, log)
    while len(_shards(shards)) < math.ceil(KILLED_AT * _num_shards(size)):
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            raise InputError(f"{command[3]} ended before it was killed")
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    _, _, usage = os.wait4(process.pid, 0)
    return len(_shards(shards)), usage


def _start(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("w") as output:
        return subprocess.Popen(command, env=ENVIRONMENT, stdout=output, stderr=output)


def _num_shards(size: int) -> int:
    return math.ceil(size / SHARD_SIZE)


def _shards(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.np[yz]") if "unfinished" not in path.name]


def _arithmetic(measured: Sequence[Measured]) -> str:
    """What MS MARCO would take if each measure went on as from the smaller of two sizes to the larger."""
    small, large = measured
    factor = (MS_MARCO - large.num_passages) / (large.num_passages - small.num_passages)
    values = tuple(b + (b - a) * factor for a, b in zip(small.values, large.values, strict=True))
    return f"{Measured(MS_MARCO, large.part, f'{large.part}, arithmetic', values)}"


def _gb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e9


if __name__ == "__main__":
    run_cli(main)
