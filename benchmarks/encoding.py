"""Passages that MiniLM encodes in a CPU-second, and whether they are found: `python -m benchmarks.encoding --help`.

sentence-transformers' own `encode`, the encoder of builds, and the same with int8 products and in bf16, taking turns on
one thread over docstrings of the standard library, or another corpus. Of the 30 passages nearest to each question,
overlap is the share that sentence-transformers' vectors find too; recall, their share of the relevant passages, is
given as a fraction of what those vectors have.
"""

import argparse
import time
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from retrieval.corpus import PYTHON_STDLIB, read_corpus
from retrieval.errors import run_cli
from retrieval.judgments import read_qrels
from retrieval.model_files import PACKAGED_MINILM, model_path
from retrieval.queries import read_queries
from retrieval.retrievers.dense import CosineEncoder

QUESTIONS = Path("evaluation/python_questions")
DEPTH = 30
BATCH = 32

Encode = Callable[[Sequence[str]], np.ndarray]
Found = dict[str, set[str]]


def main() -> None:
    """Parse the command line, measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoding", description=__doc__)
    parser.add_argument("--corpus", default=PYTHON_STDLIB, help="passages, as builds take them")
    parser.add_argument("--queries", type=Path, default=QUESTIONS / "queries.jsonl", help="judged questions")
    qrels = [QUESTIONS / "qrels" / f"{split}.tsv" for split in ("dev", "test")]
    parser.add_argument("--qrels", type=Path, nargs="+", default=qrels, help="their judgments")
    parser.add_argument("--every", type=int, default=1, help="take one of so many passages")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    passages = list(islice(read_corpus(arguments.corpus), 0, None, arguments.every))
    texts = [passage.contents for passage in passages]
    queries = read_queries(arguments.queries)
    ways = _ways()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    vectors = {}
    for _ in range(arguments.rounds):
        for name, encode in ways.items():
            began = time.process_time()
            vectors[name] = encode(texts)
            seconds[name].append(time.process_time() - began)
    first, *_ = ways
    docids = np.array([passage.docid for passage in passages])
    questions = list(queries.values())
    nearest: dict[str, Found] = {}
    for name, found in vectors.items():
        order = np.argsort(-(ways[name](questions) @ found.T), axis=1)[:, :DEPTH]
        nearest[name] = dict(zip(queries, (set(docids[row].tolist()) for row in order), strict=True))
    relevant = _relevant(arguments.qrels, queries, set(docids.tolist()))
    print(
        "| way | passages per CPU-second (median, least, most) | overlap | recall |\n| --- | --- | --- | --- |"
    )
    for name, own in seconds.items():
        rates = [len(texts) / value for value in (median(own), max(own), min(own))]
        overlap = _share(nearest[first], nearest[name])
        recall = _share(relevant, nearest[name]) / _share(relevant, nearest[first])
        print(f"| {name} | {{:.1f}} ({{:.1f}} to {{:.1f}}) | {overlap:.4f} | {recall:.4f} |".format(*rates))


def _ways() -> dict[str, Encode]:
    library = SentenceTransformer(model_path(PACKAGED_MINILM), device="cpu")
    return {
        "sentence-transformers, batches of 32": lambda texts: library.encode(
            list(texts), batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False
        ),
        "of builds": CosineEncoder(PACKAGED_MINILM).passages,
        "of builds, int8": CosineEncoder(PACKAGED_MINILM, "int8").passages,
        "of builds, bf16": CosineEncoder(PACKAGED_MINILM, "bfloat16").passages,
    }


def _relevant(paths: Sequence[Path], queries: Collection[str], docids: set[str]) -> Found:
    grades = {qid: own for path in paths for qid, own in read_qrels(path).items() if qid in queries}
    found = {
        qid: {docid for docid, grade in own.items() if grade > 0} & docids for qid, own in grades.items()
    }
    return {qid: own for qid, own in found.items() if own}


def _share(wanted: Found, found: Found) -> float:
    """Of what is wanted for a query the share that is found, the mean of the queries."""
    return float(np.mean([len(own & found[qid]) / len(own) for qid, own in wanted.items()]))


if __name__ == "__main__":
    run_cli(main)
