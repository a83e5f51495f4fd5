"""Passages scored in a second, by every way, with the same weights: `python -m benchmarks.throughput --help`.

The ways take turns over several rounds, so that a busy moment of the machine meets them all, and the floor of fp32
matrix products is measured before and after each turn. Only ratios within one run mean something.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import torch
from transformers import PreTrainedTokenizerFast

from benchmarks.matrix_floor import MatrixFloor, synchronize
from benchmarks.peak_memory import PeakMemory
from benchmarks.random_t5 import SHAPES, random_pairs, save_random_t5
from benchmarks.ways import AUTHORS_LOOP, Pair, Way, make_ways
from retrieval.errors import InputError, run_cli

PACKAGES = ("torch", "transformers", "sentence-transformers")


@dataclass(frozen=True)
class Workload:
    """Pairs to score, and how many tokens each has, its prompt included."""

    pairs: list[Pair]
    lengths: list[int]


@dataclass(frozen=True)
class Turn:
    """One turn of a way. `floor`: passages/s if the fp32 matrix products were all there is to do."""

    passages_per_second: float
    floor: float


@dataclass(frozen=True)
class WayResult:
    """Medians over the turns. `peak_memory_mib`: of the first turn, beyond what was held before it."""

    way: str
    passages_per_second: float
    ratio_to_authors: float
    fraction_of_floor: float
    peak_memory_mib: float | None
    max_difference_from_authors: float


def main() -> None:
    """Measure every way, print a table and write JSON."""
    arguments = _parser().parse_args()
    if arguments.num_pairs < 1 or arguments.rounds < 1:
        raise InputError("--num_pairs and --rounds must be at least 1")
    results = run(arguments.shape, arguments.num_pairs, arguments.rounds)
    print(table(results))
    if arguments.output:
        write_json(arguments.output, results)


def run(shape: str, num_pairs: int, rounds: int) -> list[WayResult]:
    """Make the model and the pairs, and measure every way over them, the authors' first."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        t5, checkpoint = Path(folder) / "t5", Path(folder) / "twolar"
        save_random_t5(t5, shape)
        ways = make_ways(t5, checkpoint, device)
        pairs = random_pairs(num_pairs)
        encoded = PreTrainedTokenizerFast.from_pretrained(checkpoint)(*map(list, zip(*pairs, strict=True)))
        work = Workload(pairs, [len(ids) for ids in encoded["input_ids"]])
        return measure(ways, work, rounds, MatrixFloor.of_t5(SHAPES[shape], device))


def measure(ways: dict[str, Way], work: Workload, rounds: int, floor: MatrixFloor) -> list[WayResult]:
    """Let the ways take turns, after a first one that is not counted."""
    first = {name: _first_turn(way, work, floor.device) for name, way in ways.items()}
    turns: dict[str, list[Turn]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            turns[name].append(_turn(way, work, floor))
            print(
                f"{name}: {turns[name][-1].passages_per_second:.1f} passages/s", file=sys.stderr, flush=True
            )
    reference = first[AUTHORS_LOOP][0]
    return [
        _result(name, turns[name], turns[AUTHORS_LOOP], float((scores - reference).abs().max()), peak)
        for name, (scores, peak) in first.items()
    ]


def _first_turn(way: Way, work: Workload, device: torch.device) -> tuple[torch.Tensor, float | None]:
    """Scores and peak memory. Not timed: watching memory begins with giving back what the allocator keeps."""
    memory = PeakMemory(device)
    return way(work.pairs), memory.mib_since()


def _turn(way: Way, work: Workload, floor: MatrixFloor) -> Turn:
    before = floor.flops_per_second()
    seconds = _seconds(lambda: way(work.pairs), floor.device)
    flops_per_second = (before + floor.flops_per_second()) / 2
    floor_seconds = floor.flops(work.lengths) / flops_per_second
    return Turn(len(work.pairs) / seconds, len(work.pairs) / floor_seconds)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def _result(
    name: str, turns: list[Turn], authors: list[Turn], difference: float, peak: float | None
) -> WayResult:
    return WayResult(
        way=name,
        passages_per_second=median(turn.passages_per_second for turn in turns),
        ratio_to_authors=median(
            turn.passages_per_second / other.passages_per_second
            for turn, other in zip(turns, authors, strict=True)
        ),
        fraction_of_floor=median(turn.passages_per_second / turn.floor for turn in turns),
        peak_memory_mib=peak,
        max_difference_from_authors=difference,
    )


def table(results: list[WayResult]) -> str:
    """The results in Markdown."""
    header = (
        "| way | passages/s | ratio to the authors' | fraction of fp32 floor | peak memory, MiB "
        "| largest difference of scores |\n| --- | --- | --- | --- | --- | --- |"
    )
    rows = [
        f"| {result.way} | {result.passages_per_second:.1f} | {result.ratio_to_authors:.2f} "
        f"| {result.fraction_of_floor:.2f} | {_memory(result.peak_memory_mib)} "
        f"| {result.max_difference_from_authors:.1e} |"
        for result in results
    ]
    return "\n".join([header, *rows])


def _memory(mib: float | None) -> str:
    return "unknown" if mib is None else f"{mib:.0f}"


def write_json(path: Path, results: list[WayResult]) -> None:
    """Write the results with what they depend on, aside first and then renamed."""
    report = {
        "command": " ".join(["python -m benchmarks.throughput", *sys.argv[1:]]),
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "results": [asdict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument(
        "--shape", choices=sorted(SHAPES), default="flan-t5-base", help="whose sizes the model has"
    )
    parser.add_argument("--num_pairs", type=int, default=48, help="pairs a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    return parser


if __name__ == "__main__":
    run_cli(main)
