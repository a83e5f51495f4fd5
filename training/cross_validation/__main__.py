"""Compares settings of `train_hf.py` over a collection's own queries: `python -m training.cross_validation --help`.

For a teacher's rankings of judged queries. Each query is ranked by a student that was trained without it, so the
judgments choose settings and never train.
"""

import argparse
from pathlib import Path

from evaluation.settings import BM25_NAME
from retrieval.errors import run_cli
from training.cross_validation.settings import CrossValidationSettings


def main() -> None:
    """Parse the command line, train the folds and compare."""
    settings = CrossValidationSettings(**vars(_parser().parse_args()))
    # Not before: what a training runs on takes seconds to import, and --help does without.
    from training.cross_validation.run import cross_validate

    cross_validate(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.cross_validation", description=__doc__)
    add = parser.add_argument
    add(
        "--config",
        nargs="+",
        type=Path,
        required=True,
        help="settings files of train_hf.py; each is one row of the table, called by its file's name",
    )
    add("--dataset_name", required=True, help="a teacher's rankings of the collection's queries")
    add("--collection", type=Path, required=True, help="a judged collection in BEIR's layout")
    add("--split", default="test", help="its qrels")
    add("--corpus", help="its passages, where they are not in the folder")
    add("--first_stage", default=BM25_NAME, help="bm25, or a TREC run: what is ranked")
    add("--top_k", type=int, default=100, help="candidates a query")
    add("--folds", type=int, default=2, help="how many parts the queries are split into")
    add("--seed", type=int, default=42, help="of the split and of the tests")
    add(
        "--model",
        nargs="*",
        default=[],
        help="[NAME=]checkpoint, backbone or cosine:bi-encoder to compare with",
    )
    add("--run", nargs="*", default=[], help="[NAME=]run file to compare with")
    add("--output_dir", type=Path, default=Path("runs/cross_validation"), help="students, scores and table")
    return parser


if __name__ == "__main__":
    run_cli(main)
