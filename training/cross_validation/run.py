"""Trains the folds, ranks each one's queries, and compares over all of them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.collections import JudgedCollection, load_collection
from evaluation.first_stage import Candidates, retrieve
from evaluation.plots import slug
from evaluation.report import make_report
from evaluation.results_folder import write_results
from evaluation.score_cache import ScoreCache
from evaluation.systems import SystemRun, load_run, rerank
from evaluation.tables import details
from retrieval.named import parse_named
from retrieval.trec_run import Run, write_run
from training.cross_validation.folds import Fold, split, train_folds, write_without
from training.cross_validation.settings import CrossValidationSettings
from training.data import load_rankings
from training.flags import DataArguments


def cross_validate(settings: CrossValidationSettings) -> None:
    """Train each settings file once a fold, rank the fold's queries, and write one table over all queries.

    Raises:
        InputError: for a collection, dataset, settings file or system that cannot be used, or a training that fails.
    """
    folder = settings.output_dir.resolve()
    collection = load_collection(settings.collection, settings.split, settings.corpus, None)
    candidates = retrieve(collection, settings.first_stage, settings.top_k, folder / "indexes")
    folds = _folds(settings, collection, candidates, folder)
    cache = ScoreCache(folder / "scores.sqlite")
    systems = [SystemRun(candidates.name, candidates.run)]
    systems += _others(settings, collection, candidates, cache)
    for config in settings.config:
        held_out: Run = {}
        for fold, student in zip(folds, train_folds(config, folds, folder), strict=True):
            own = replace(candidates, run={key: candidates.run[key] for key in fold.query_ids})
            held_out |= rerank(config.stem, str(student), cache, own, collection.queries).run
        systems.append(SystemRun(config.stem, held_out))
    _report(settings, collection, candidates, systems, folder)


def _folds(
    settings: CrossValidationSettings, collection: JudgedCollection, candidates: Candidates, folder: Path
) -> list[Fold]:
    rankings, _ = load_rankings(DataArguments(dataset_name=settings.dataset_name, held_out=0), settings.seed)
    return [
        Fold(query_ids, write_without(rankings, [collection.queries[key] for key in query_ids], folder))
        for query_ids in split(list(candidates.run), settings.folds, settings.seed)
    ]


def _others(
    settings: CrossValidationSettings,
    collection: JudgedCollection,
    candidates: Candidates,
    cache: ScoreCache,
) -> Iterator[SystemRun]:
    """The models and runs to compare with."""
    for spec in settings.model:
        name, model = parse_named(spec)
        print(f"scoring with {name}", flush=True)
        yield rerank(name, model, cache, candidates, collection.queries)
    yield from (run for spec in settings.run if (run := load_run(spec, collection.queries)))


def _report(
    settings: CrossValidationSettings,
    collection: JudgedCollection,
    candidates: Candidates,
    systems: Sequence[SystemRun],
    folder: Path,
) -> None:
    for system in systems:
        write_run(folder / "runs" / f"{slug(system.name)}.txt", system.run, slug(system.name))
    relevant_from = collection.relevant_from
    report = make_report(collection, candidates, systems, settings.top_k, settings.seed, relevant_from)
    print(f"\n{details(report).markdown()}")
    write_results([report], [], folder)
    print(f"\nwritten to {folder}: results.md, .tex and .json, plots/, the runs and the folds' students")
