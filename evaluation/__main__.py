"""Evaluates rerankers over a first stage, with significance: `python -m evaluation --help`."""

import argparse
from pathlib import Path

from evaluation.settings import BM25_NAME, EvaluationSettings
from retrieval.corpus import LAYOUTS, CorpusFlag
from retrieval.errors import run_cli


def main() -> None:
    """Evaluate, print the tables and say where they are."""
    settings = EvaluationSettings(**vars(_parser().parse_args()))
    # Not before: what an evaluation runs on takes seconds to import, and --help does without.
    from evaluation.results_folder import all_tables
    from evaluation.run import evaluate

    found = evaluate(settings)
    for table in all_tables(found.reports, found.published):
        print(f"\n{table.markdown()}")
    print(f"\nwritten to {settings.output_dir}: results.md, .tex and .json, plots/ and the runs")


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    _add_collections(parser.add_argument_group("what is searched"))
    _add_systems(parser.add_argument_group("what is compared"))
    add = parser.add_argument_group("results").add_argument
    add("--output_dir", type=Path, default=Path("runs"), help="tables, plots, runs, indexes and scores")
    add(
        "--relevant_from",
        type=_positive,
        help="lowest grade that MRR, MAP and R count as relevant (default: 1; TREC-DL by name: 2)",
    )
    add("--seed", type=int, default=0, help="of the bootstrap and the randomization test")
    return parser


def _add_collections(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--collection",
        nargs="+",
        required=True,
        help="dl19, dl20, ..., scifact or another collection of Pyserini's; nanobeir, or one of its 13: "
        "nanobeir:scifact; [NAME=]hf:DATASET[:SPLIT], of the Hub; or [NAME=]folder with queries.jsonl and qrels/, "
        "in BEIR's layout",
    )
    add("--corpus", nargs="+", action=CorpusFlag, help=f"the passages, where a folder has none: {LAYOUTS}")
    add(
        "--language",
        default="",
        help="of a folder's passages, for BM25: en, de, zh, th, ...; found from a sample",
    )
    add("--split", default="test", help="which qrels/SPLIT.tsv of a folder")
    add("--limit_queries", type=_positive, help="a quick look: only the first so many judged queries")
    add("--index", type=Path, help="a local Lucene index in place of Pyserini's download")
    add("--topics", type=Path, help="a local file of its queries: id, tab, text; or .jsonl")
    add("--qrels", type=Path, help="a local TREC file of its judgments")


def _add_systems(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--first_stage",
        nargs="+",
        default=[BM25_NAME],
        help="bm25 or a TREC run file; for a folder also cosine:BI-ENCODER or splade:MODEL; for a "
        "collection of Pyserini's also "
        "splade, dense or a condition of its tables; one for all collections, or one for each",
    )
    add("--top_k", type=_positive, default=100, help="candidates a query (the paper: 100)")
    add(
        "--model",
        nargs="*",
        default=[],
        help="[NAME=]checkpoint, or [NAME=]backbone: the untrained reranker that starts from it, or "
        "[NAME=]cosine:bi-encoder; none: first stage alone",
    )
    add("--run", nargs="*", default=[], help="[NAME=]run file of another system")
    add("--baseline", help="a NAME of these: one more table compares every system with it")
    add(
        "--reference",
        nargs="*",
        type=Path,
        help="print published figures too: the shipped ones, or of these files",
    )


if __name__ == "__main__":
    run_cli(main)
