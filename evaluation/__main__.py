"""Evaluates rerankers over one first stage, with significance: `python -m evaluation --help`."""

import argparse
from pathlib import Path

from dataset_builder.errors import InputError, run_cli
from dataset_builder.passage_store import PassageStore
from dataset_builder.trec_run import Run, write_run
from evaluation.collections import JudgedCollection, load_collection
from evaluation.first_stage import BM25_NAME, first_stage_run, open_passages
from evaluation.measures import MAIN_MEASURE, per_query
from evaluation.report import Report, SystemResult, write_reports
from evaluation.score_cache import ScoreCache
from evaluation.significance import bootstrap_interval, compare
from evaluation.systems import SystemRun, load_run, parse_named, rerank


def main() -> None:
    """Evaluate every system on every collection; print the tables and write them, the runs and a JSON file."""
    arguments = _parser().parse_args()
    reports = []
    for folder in arguments.collection:
        collection = load_collection(folder, arguments.split, arguments.corpus, arguments.limit_queries)
        reports.append(evaluate(collection, arguments))
        print(f"\n{reports[-1].markdown()}\n")
    write_reports(reports, arguments.output_dir)
    print(f"written to {arguments.output_dir}: results.md, results.json and the runs")


def evaluate(collection: JudgedCollection, arguments: argparse.Namespace) -> Report:
    """All systems on one collection; the first stage comes first and is the baseline."""
    passages = open_passages(collection, arguments.output_dir / "indexes")
    work = arguments.output_dir / "indexes"
    candidates = first_stage_run(collection, arguments.first_stage, passages, arguments.top_k, work)
    systems = [SystemRun(Path(arguments.first_stage).stem, candidates)]
    texts = _texts(candidates, passages, collection)
    cache = ScoreCache(arguments.output_dir / "scores.sqlite")
    for spec in arguments.model:
        name, model = parse_named(spec)
        print(f"{collection.name}: scoring with {name}", flush=True)
        systems.append(rerank(name, model, cache, candidates, collection.queries, texts))
    systems += [load_run(spec, candidates) for spec in arguments.run]
    _check_names(systems)
    for system in systems:
        write_run(
            arguments.output_dir / _slug(collection.name) / f"{system.name}.txt", system.run, system.name
        )
    return _report(collection, systems, arguments)


def _report(collection: JudgedCollection, systems: list[SystemRun], arguments: argparse.Namespace) -> Report:
    seed, relevant_from = arguments.seed, arguments.relevant_from
    values = {system.name: per_query(collection.qrels, system.run, relevant_from) for system in systems}
    main = {
        name: [found[MAIN_MEASURE][query_id] for query_id in collection.qrels]
        for name, found in values.items()
    }
    results = [SystemResult(s, values[s.name], bootstrap_interval(main[s.name], seed)) for s in systems]
    return Report(
        collection, arguments.top_k, seed, relevant_from, results, compare(main, systems[0].name, seed)
    )


def _texts(candidates: Run, passages: PassageStore, collection: JudgedCollection) -> dict[str, str]:
    docids = list(dict.fromkeys(hit.docid for hits in candidates.values() for hit in hits))
    try:
        return {passage.docid: passage.contents for passage in passages.get(docids)}
    except KeyError as error:
        raise InputError(f"the first stage has passage {error}, which {collection.corpus} has not") from error


def _check_names(systems: list[SystemRun]) -> None:
    names = [system.name for system in systems]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two systems are called {twice!r}; name them apart: --model NAME=PATH")


def _slug(name: str) -> str:
    return name.replace(" (", "-").rstrip(")")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation", description=__doc__)
    parser.add_argument(
        "--collection",
        type=Path,
        nargs="+",
        required=True,
        help="folders with queries.jsonl and qrels/, in BEIR's layout",
    )
    parser.add_argument(
        "--corpus", help="the passages, where the collection's folder has none; or python-stdlib"
    )
    parser.add_argument("--split", default="test", help="which qrels/SPLIT.tsv")
    parser.add_argument(
        "--first_stage", default=BM25_NAME, help="bm25 (Lucene, built here) or a TREC run file"
    )
    parser.add_argument("--top_k", type=int, default=100, help="candidates a query (the paper: 100)")
    parser.add_argument(
        "--model",
        nargs="*",
        default=[],
        help="[NAME=]checkpoint, or [NAME=]cosine:bi-encoder; none: first stage alone",
    )
    parser.add_argument("--run", nargs="*", default=[], help="[NAME=]run file of another system")
    parser.add_argument(
        "--limit_queries", type=int, help="a quick look: only the first so many judged queries"
    )
    parser.add_argument("--output_dir", type=Path, default=Path("runs"), help="tables, runs and indexes")
    parser.add_argument(
        "--relevant_from",
        type=int,
        default=1,
        help="lowest grade that MRR, MAP and R count as relevant (TREC-DL: 2)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the randomization test")
    return parser


if __name__ == "__main__":
    run_cli(main)
