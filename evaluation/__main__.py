"""Evaluates rerankers over a first stage, with significance: `python -m evaluation --help`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from evaluation.collections import JudgedCollection, LocalFiles, is_prebuilt, load_collection, load_prebuilt
from evaluation.first_stage import BM25_NAME, Candidates, retrieve
from evaluation.plots import slug
from evaluation.reference import Published, load_published, published_by_pyserini
from evaluation.report import Report, correct_together, make_report
from evaluation.results_folder import all_tables, write_results
from evaluation.score_cache import ScoreCache
from evaluation.systems import SystemRun, load_run, parse_named, rerank
from retrieval.errors import InputError, run_cli
from retrieval.trec_run import write_run


def main() -> None:
    """Evaluate every system on every collection; print the tables and write them, the runs and a JSON file."""
    arguments = _parser().parse_args()
    first_stages = _first_stages(arguments)
    published = [] if arguments.reference is None else load_published(arguments.reference)
    collections = [_load(spec, arguments) for spec in arguments.collection]
    _require_distinct(
        [collection.name for collection in collections], "collections", "--collection NAME=FOLDER"
    )
    pairs = zip(collections, first_stages, strict=True)
    reports = [evaluate(collection, first_stage, arguments) for collection, first_stage in pairs]
    _refuse_unused_runs(arguments.run, reports)
    reports = correct_together(reports)
    if arguments.reference is not None:
        published += _pyserinis_figures(reports)
    for table in all_tables(reports, published):
        print(f"\n{table.markdown()}")
    write_results(reports, published, arguments.output_dir)
    print(f"\nwritten to {arguments.output_dir}: results.md, .tex and .json, plots/ and the runs")


def evaluate(collection: JudgedCollection, first_stage: str, arguments: argparse.Namespace) -> Report:
    """All systems on one collection; the first stage comes first and is the baseline."""
    candidates = retrieve(collection, first_stage, arguments.top_k, arguments.output_dir / "indexes")
    systems = [SystemRun(candidates.name, candidates.run), *_rerankers(collection, candidates, arguments)]
    runs = [load_run(spec, collection.queries) for spec in arguments.run]
    systems += [run for run in runs if run is not None]
    _require_distinct([system.name for system in systems], "systems", "--model NAME=PATH")
    _require_baseline(arguments.baseline, [system.name for system in systems])
    for system in systems:
        path = arguments.output_dir / slug(collection.name) / f"{slug(system.name)}.txt"
        write_run(path, system.run, slug(system.name))
    relevant_from = arguments.relevant_from or collection.relevant_from
    return make_report(
        collection, candidates, systems, arguments.top_k, arguments.seed, relevant_from, arguments.baseline
    )


def _rerankers(
    collection: JudgedCollection, candidates: Candidates, arguments: argparse.Namespace
) -> list[SystemRun]:
    cache = ScoreCache(arguments.output_dir / "scores.sqlite")
    systems = []
    for spec in arguments.model:
        name, model = parse_named(spec)
        print(f"{collection.name}: scoring with {name}", flush=True)
        system = rerank(name, model, cache, candidates, collection.queries)
        print(f"{system.num_pairs} passages, {system.num_cached} of them scored before", flush=True)
        systems.append(system)
    return systems


def _load(spec: str, arguments: argparse.Namespace) -> JudgedCollection:
    local = LocalFiles(arguments.index, arguments.topics, arguments.qrels)
    if is_prebuilt(spec):
        return load_prebuilt(spec, local, arguments.limit_queries)
    if local != LocalFiles():
        raise InputError(f"--index, --topics and --qrels stand in for downloads, and {spec} needs none")
    name, folder = parse_named(spec)
    return load_collection(
        Path(folder),
        arguments.split,
        arguments.corpus,
        arguments.limit_queries,
        name if "=" in spec else None,
    )


def _first_stages(arguments: argparse.Namespace) -> Sequence[str]:
    """One a collection: where a single one is given, it serves all."""
    given, count = arguments.first_stage, len(arguments.collection)
    if len(given) not in (1, count):
        raise InputError(f"{len(given)} first stages for {count} collections: give one, or one for each")
    if count > 1 and (arguments.index or arguments.topics or arguments.qrels):
        raise InputError("--index, --topics and --qrels need a single --collection")
    return given * count if len(given) == 1 else given


def _pyserinis_figures(reports: Sequence[Report]) -> list[Published]:
    stages = {report.collection.name: report.candidates.name for report in reports}
    return published_by_pyserini({name: stage for name, stage in stages.items() if is_prebuilt(name)})


def _require_distinct(names: Sequence[str], what: str, mend: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two {what} are called {twice!r}; name them apart: {mend}")


def _require_baseline(baseline: str | None, names: Sequence[str]) -> None:
    if baseline is not None and baseline not in names:
        raise InputError(f"--baseline {baseline!r} is none of the systems: {', '.join(names)}")


def _refuse_unused_runs(specs: Sequence[str], reports: Sequence[Report]) -> None:
    names = {result.system.name for report in reports for result in report.results}
    unused = next((spec for spec in specs if parse_named(spec)[0] not in names), None)
    if unused is not None:
        raise InputError(f"run {unused} has no query of any collection")


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
        help="dl19, dl20, ..., scifact or another collection of Pyserini's; or [NAME=]folder with queries.jsonl "
        "and qrels/, in BEIR's layout",
    )
    add("--corpus", help="the passages, where a folder has none; or python-stdlib")
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
