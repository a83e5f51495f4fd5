"""Peak memory of a training step as its passages grow, whole and in chunks: `python -m benchmarks.training_memory`.

Random weights of a T5's shape, since memory does not depend on what they are. On a GPU the figures are PyTorch's, on a
CPU the process's. A step is one query's passages, forward and backward, without an optimizer.
"""

import argparse
import random
import tempfile
from pathlib import Path

import torch

from benchmarks.peak_memory import PeakMemory
from benchmarks.random_t5 import SHAPES, save_random_t5
from modeling_twolar import TwolarForReranking
from retrieval.errors import run_cli
from training.losses import ranknet

COUNTS = (8, 16, 32, 64)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_memory", description=__doc__)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="flan-t5-small")
    parser.add_argument("--num_tokens", type=int, default=200, help="tokens of a pair")
    parser.add_argument("--passages_per_chunk", type=int, default=4)
    parser.add_argument("--bf16", action="store_true", help="weights and activations in bf16")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="passages of a step")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print("| passages | whole, MiB | chunks, MiB | chunks and gradient checkpointing, MiB |")
    print("| --- | --- | --- | --- |")
    for count in arguments.counts:
        peaks = [
            _step(arguments, device, count, *how) for how in ((False, False), (True, False), (True, True))
        ]
        print(f"| {count} | " + " | ".join(peaks) + " |", flush=True)


def _step(
    arguments: argparse.Namespace, device: torch.device, count: int, chunks: bool, recompute: bool
) -> str:
    with tempfile.TemporaryDirectory() as folder:
        save_random_t5(Path(folder), arguments.shape)
        dtype = torch.bfloat16 if arguments.bf16 else torch.float32
        model = TwolarForReranking.from_backbone(folder, dtype=dtype).to(device).train()  # type: ignore[arg-type]
    if recompute:
        model.activation_checkpointing_enable({"use_reentrant": False})
    how = {"pairs_per_chunk": arguments.passages_per_chunk, "keep_activations": False} if chunks else {}
    rng = random.Random(0)
    passage = " ".join(f"w{rng.randrange(30000)}" for _ in range(arguments.num_tokens))
    pairs = model.tokenizer(
        ["w1"] * count, [passage] * count, truncation="only_second", max_length=arguments.num_tokens,
        return_tensors="pt",
    ).to(device)  # fmt: skip
    ranks = torch.arange(1, count + 1, device=device)[None]
    model(**{name: tensor[:1] for name, tensor in pairs.items()})["logits"].sum().backward()
    memory = PeakMemory(device)
    ranknet(model(**pairs, **how)["logits"].T, ranks).backward()
    peak = memory.mib_since()
    return "unknown" if peak is None else f"{peak:.0f}"


if __name__ == "__main__":
    run_cli(main)
