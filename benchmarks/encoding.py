"""Passages that MiniLM encodes in a CPU-second, and whether they are found: `python -m benchmarks.encoding --help`.

sentence-transformers' own `encode`, the encoder of builds, and the same with int8 products and in bf16, taking turns on
one thread over docstrings of the standard library. Overlap: of the 30 passages nearest to each judged question, the
share that sentence-transformers' vectors find too.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from modeling_twolar.packed_bert import bert_common_inputs
from modeling_twolar.quantization import quantize_linears
from retrieval.corpus import PYTHON_STDLIB, read_corpus
from retrieval.errors import run_cli
from retrieval.model_files import PACKAGED_MINILM, model_path
from retrieval.queries import read_queries
from retrieval.retrievers.dense import CosineEncoder

QUESTIONS = Path("evaluation/python_questions/queries.jsonl")
DEPTH = 30
BATCH = 32

Encode = Callable[[Sequence[str]], np.ndarray]


def main() -> None:
    """Parse the command line, measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take one of so many passages")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = [passage.contents for passage in islice(read_corpus(PYTHON_STDLIB), 0, None, arguments.every)]
    questions = list(read_queries(QUESTIONS).values())
    ways = _ways(texts[:BATCH])
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {}
    for _ in range(arguments.rounds):
        for name, encode in ways.items():
            began = time.process_time()
            vectors[name] = encode(texts)
            seconds[name].append(time.process_time() - began)
    first, *_ = ways
    nearest = {name: _nearest(ways[first](questions), found) for name, found in vectors.items()}
    print("| way | passages per CPU-second (median, least, most) | overlap |\n| --- | --- | --- |")
    for name, own in seconds.items():
        rates = [len(texts) / value for value in (median(own), max(own), min(own))]
        shown = "{:.1f} ({:.1f} to {:.1f})".format(*rates)
        print(f"| {name} | {shown} | {_overlap(nearest[first], nearest[name]):.4f} |")


def _ways(sample: Sequence[str]) -> dict[str, Encode]:
    library = SentenceTransformer(model_path(PACKAGED_MINILM), device="cpu")
    quantized = CosineEncoder(PACKAGED_MINILM)
    bert = quantized.model[0].auto_model
    quantize_linears(bert.encoder, bert_common_inputs(bert), lambda: quantized.model.encode(list(sample)))
    return {
        "sentence-transformers, batches of 32": lambda texts: library.encode(
            list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        ),
        "of builds": CosineEncoder(PACKAGED_MINILM).passages,
        "of builds, int8": quantized.passages,
        "of builds, bf16": CosineEncoder(PACKAGED_MINILM, "bfloat16").passages,
    }


def _nearest(questions: np.ndarray, passages: np.ndarray) -> list[set[int]]:
    order = np.argsort(-(questions @ passages.T), axis=1)[:, :DEPTH]
    return [set(row.tolist()) for row in order]


def _overlap(wanted: Sequence[set[int]], found: Sequence[set[int]]) -> float:
    return float(np.mean([len(one & other) / len(one) for one, other in zip(wanted, found, strict=True)]))


if __name__ == "__main__":
    run_cli(main)
