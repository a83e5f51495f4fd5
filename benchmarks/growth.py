"""Time and memory of scoring 10 to 10,000 pairs: `python -m benchmarks.growth --help`.

Time should grow with the tokens, and memory should not grow with the pairs.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.peak_memory import PeakMemory
from benchmarks.random_t5 import SHAPES, random_pairs, save_random_t5
from modeling_twolar import TwolarForReranking
from retrieval.errors import run_cli

COUNTS = (10, 100, 1000, 10_000)


def main() -> None:
    """Score more and more pairs, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="flan-t5-small", help="sizes of the model")
    parser.add_argument("--int8", action="store_true", help="score with int8 matrix products")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        save_random_t5(Path(folder), arguments.shape)
        model = TwolarForReranking.from_backbone(folder).to(device)  # type: ignore[arg-type]
    if arguments.int8:
        model.quantize("int8")
    model.score(random_pairs(COUNTS[0]))
    print("| pairs | tokens | seconds | tokens/s | peak memory, MiB |\n| --- | --- | --- | --- | --- |")
    for count in COUNTS:
        print(_row(model, random_pairs(count)), flush=True)


def _row(model: TwolarForReranking, pairs: list[tuple[str, str]]) -> str:
    num_tokens = sum(map(len, model.tokenizer(*map(list, zip(*pairs, strict=True)))["input_ids"]))
    memory, start = PeakMemory(model.device), time.perf_counter()
    model.score(pairs, show_progress_bar=False)
    seconds = time.perf_counter() - start
    peak = memory.mib_since()
    return (
        f"| {len(pairs)} | {num_tokens} | {seconds:.2f} | {num_tokens / seconds:.0f} "
        f"| {'unknown' if peak is None else f'{peak:.0f}'} |"
    )


if __name__ == "__main__":
    run_cli(main)
