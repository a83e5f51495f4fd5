"""Cross-encoders scored by TWOLAR and by other libraries: `python -m benchmarks.peers --help`.

The same weights, one export (`python -m serving.export --int8`), a process for each way, taking turns; the floor of
fp32 matrix products is measured beside each turn. What onnx needs of transformers may be older than what TWOLAR needs:
`--peers_python` names the interpreter of an environment with `sentence-transformers[onnx]` and `fastembed`. Weights
are MiniLM's with a new, random layer for the score, or a T5's, all random: the figures are of speed, and of what int8
does to such scores. No other library scores a T5 but from its graph.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from scipy.stats import kendalltau
from transformers import AutoTokenizer, BertForSequenceClassification, PreTrainedTokenizerFast

from benchmarks.matrix_floor import MatrixFloor
from benchmarks.peer_worker import OF_WEIGHTS, WAYS
from benchmarks.random_t5 import SHAPES, random_lengths, random_pairs, save_random_t5
from retrieval.errors import InputError, run_cli
from retrieval.model_files import model_path

WORKER = Path(__file__).with_name("peer_worker.py")
OURS = "ours, fp32"
MINILM = "all-MiniLM-L6-v2"
HEADER = (
    "| shape | way | passages/s (least to most) | ratio to ours in fp32 | fraction of fp32 floor "
    "| largest difference | Kendall's tau |\n| --- | --- | --- | --- | --- | --- | --- |"
)


class Peer:
    """A way of scoring in its own process."""

    def __init__(self, name: str, python: str, folder: Path, pairs: Path, threads: int) -> None:
        self.name = name
        self.rates: list[float] = []
        self.fractions: list[float] = []
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
        command = [python, str(WORKER), name, str(folder), str(pairs), str(threads)]
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._read() != "ready":
            raise InputError(f"{name} cannot be asked with {python}; its words are above")
        self.scores = self.turn()[1]

    def turn(self) -> tuple[float, list[float]]:
        """Seconds and scores of all pairs."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        found = json.loads(self._read())
        return found["seconds"], found["scores"]

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        """The next line that is ours: a library may print others."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(("ready", "{")):
                return line.strip()
        return ""


@dataclass(frozen=True)
class Shape:
    """A model as we read it and as others do, what it scores, and what that takes at least."""

    start: Path
    export: Path
    pairs: list[tuple[str, str]]
    floor: MatrixFloor
    has_plain_weights: bool


def main() -> None:
    """Measure every way at every shape and print a table."""
    arguments = _parser().parse_args()
    torch.set_num_threads(arguments.threads)
    rows = [HEADER]
    for name in arguments.shapes:
        with tempfile.TemporaryDirectory() as folder:
            rows += _rows(name, _shape(name, Path(folder), arguments.num_pairs), arguments)
    print("\n".join(rows))


def _rows(name: str, shape: Shape, arguments: argparse.Namespace) -> list[str]:
    pairs_file = shape.export / "pairs.json"
    pairs_file.write_text(json.dumps(shape.pairs))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(shape.export)
    lengths = [len(ids) for ids in tokenizer(*map(list, zip(*shape.pairs, strict=True)))["input_ids"]]
    peers: list[Peer] = []
    try:
        for way in WAYS:
            is_ours = way.startswith("ours")
            if is_ours or (arguments.peers_python and (shape.has_plain_weights or way != OF_WEIGHTS)):
                python = sys.executable if is_ours else arguments.peers_python
                folder = shape.start if is_ours else shape.export
                peers.append(Peer(way, python, folder, pairs_file, arguments.threads))
        _measure(peers, shape.floor, lengths, arguments.rounds)
    finally:
        for peer in peers:
            peer.end()
    return _described(name, peers)


def _measure(peers: Sequence[Peer], floor: MatrixFloor, lengths: list[int], rounds: int) -> None:
    for _ in range(rounds):
        for peer in peers:
            before = floor.flops_per_second()
            seconds, _ = peer.turn()
            speed = (before + floor.flops_per_second()) / 2
            peer.rates.append(len(lengths) / seconds)
            peer.fractions.append(floor.flops(lengths) / speed / seconds)
            print(f"{peer.name}: {peer.rates[-1]:.1f} passages/s", file=sys.stderr, flush=True)


def _described(shape: str, peers: Sequence[Peer]) -> list[str]:
    (reference,) = (peer for peer in peers if peer.name == OURS)
    rows = []
    for peer in peers:
        ratio = median(one / own for one, own in zip(peer.rates, reference.rates, strict=True))
        difference = max(abs(one - own) for one, own in zip(peer.scores, reference.scores, strict=True))
        tau = kendalltau(peer.scores, reference.scores).statistic
        rows.append(
            f"| {shape} | {peer.name} | {median(peer.rates):.1f} ({min(peer.rates):.1f} to {max(peer.rates):.1f}) "
            f"| {ratio:.2f} | {median(peer.fractions):.2f} | {difference:.1e} | {tau:.3f} |"
        )
    return rows


def _shape(name: str, folder: Path, num_pairs: int) -> Shape:
    start, output = folder / "start", folder / "export"
    is_minilm = name == MINILM
    if is_minilm:
        torch.manual_seed(0)
        source = model_path(MINILM)
        BertForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(start)
        tokenizer = AutoTokenizer.from_pretrained(source)
        tokenizer.save_pretrained(start)
        pairs = _english(num_pairs, tokenizer.get_vocab())
        floor = MatrixFloor.of_bert(384, 1536, 6, torch.device("cpu"))
    else:
        save_random_t5(start, name)
        pairs, floor = random_pairs(num_pairs), MatrixFloor.of_t5(SHAPES[name], torch.device("cpu"))
    subprocess.run([sys.executable, "-m", "serving.export", start, output, "--int8"], check=True)
    return Shape(start, output, pairs, floor, is_minilm)


def _english(count: int, vocabulary: Sequence[str]) -> list[tuple[str, str]]:
    """Queries and passages of whole English words, a token each, in the lengths of `random_pairs`."""
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 3)
    rng = random.Random(0)
    return [
        (" ".join(rng.choices(words, k=query)), " ".join(rng.choices(words, k=passage)))
        for query, passage in random_lengths(count, rng)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--shapes", nargs="+", default=[MINILM, "flan-t5-small"], choices=[MINILM, *SHAPES])
    parser.add_argument("--num_pairs", type=int, default=100, help="pairs a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each way")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of every way")
    parser.add_argument("--peers_python", help="interpreter with the peers; without it, ours alone")
    return parser


if __name__ == "__main__":
    run_cli(main)
