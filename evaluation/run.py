"""Evaluates rerankers over a first stage, with significance."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from evaluation.collections import JudgedCollection, LocalFiles, is_prebuilt, load_collection, load_prebuilt
from evaluation.first_stage import Candidates, open_passages, retrieve
from evaluation.hosted_collections import is_hosted, load_hosted, spelled_out
from evaluation.missing import missing_from
from evaluation.plots import slug
from evaluation.reference import Published, load_published, published_by_pyserini
from evaluation.report import Report, correct_together, make_report
from evaluation.results_folder import write_results
from evaluation.score_cache import ScoreCache
from evaluation.settings import EvaluationSettings
from evaluation.systems import SystemRun, load_run, rerank
from retrieval.errors import InputError
from retrieval.language import check_language
from retrieval.named import parse_named, split_name
from retrieval.trec_run import write_run


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results by collection, and the published figures that stand beside them."""

    reports: Sequence[Report]
    published: Sequence[Published]


def evaluate(settings: EvaluationSettings) -> Evaluation:
    """Evaluate every system on every collection; write the tables, the runs and a JSON file to `settings.output_dir`.

    Raises:
        InputError: for a collection, model or run that cannot be used, or two of one name.

    Example:
        >>> found = evaluate(
        ...     EvaluationSettings(
        ...         collection=["evaluation/python_questions"],
        ...         corpus="python-stdlib",
        ...         model=["student=twolar/minilm-python-stdlib", "teacher=all-MiniLM-L6-v2"],
        ...         output_dir=Path("runs/mine"),
        ...     )
        ... )
        >>> for result in found.reports[0].results:
        ...     print(result.system.name, result.main)  # nDCG@10
    """
    if settings.language:
        check_language(settings.language)
    specs = spelled_out(settings.collection)
    first_stages = _first_stages(settings, len(specs))
    published = [] if settings.reference is None else load_published(settings.reference)
    collections = [_load(spec, settings) for spec in specs]
    _require_distinct(
        [collection.name for collection in collections], "collections", "--collection NAME=FOLDER"
    )
    pairs = zip(collections, first_stages, strict=True)
    reports = [evaluate_collection(collection, first_stage, settings) for collection, first_stage in pairs]
    _refuse_unused_runs(settings.run, reports)
    reports = correct_together(reports)
    if settings.reference is not None:
        published += _pyserinis_figures(reports)
    write_results(reports, published, settings.output_dir)
    return Evaluation(reports, published)


def evaluate_collection(
    collection: JudgedCollection, first_stage: str, settings: EvaluationSettings
) -> Report:
    """All systems on one collection; the first stage comes first and is the baseline."""
    indexes = settings.output_dir / "indexes"
    candidates = retrieve(collection, first_stage, settings.top_k, indexes, settings.language)
    first = SystemRun(candidates.name, candidates.run, num_own=candidates.num_own)
    systems = [first, *_rerankers(collection, candidates, settings)]
    runs = [load_run(spec, collection.queries, collection.may_ask_passages) for spec in settings.run]
    systems += [run for run in runs if run is not None]
    _require_distinct([system.name for system in systems], "systems", "--model NAME=PATH")
    _require_baseline(settings.baseline, [system.name for system in systems])
    for system in systems:
        path = settings.output_dir / slug(collection.name) / f"{slug(system.name)}.txt"
        write_run(path, system.run, slug(system.name))
    relevant_from = settings.relevant_from or collection.relevant_from
    report = make_report(
        collection, candidates, systems, settings.top_k, settings.seed, relevant_from, settings.baseline
    )
    found = {**{system.name: system.run for system in systems}, candidates.name: candidates.found}
    return replace(report, notes=missing_from(collection, open_passages(collection, indexes), found))


def _rerankers(
    collection: JudgedCollection, candidates: Candidates, settings: EvaluationSettings
) -> list[SystemRun]:
    cache = ScoreCache(settings.output_dir / "scores.sqlite")
    systems = []
    for spec in settings.model:
        name, model = parse_named(spec)
        print(f"{collection.name}: scoring with {name}", flush=True)
        system = rerank(name, model, cache, candidates, collection.queries)
        print(f"{system.num_pairs} passages, {system.num_cached} of them scored before", flush=True)
        systems.append(system)
    return systems


def _load(spec: str, settings: EvaluationSettings) -> JudgedCollection:
    local = LocalFiles(settings.index, settings.topics, settings.qrels)
    if is_prebuilt(spec):
        return load_prebuilt(spec, local, settings.limit_queries)
    if local != LocalFiles():
        raise InputError(f"--index, --topics and --qrels stand in for downloads, and {spec} needs none")
    name, folder = split_name(spec)
    if is_hosted(folder):
        return load_hosted(folder, settings.limit_queries, name)
    return load_collection(
        Path(folder),
        settings.split,
        settings.corpus,
        settings.limit_queries,
        name,
    )


def _first_stages(settings: EvaluationSettings, count: int) -> Sequence[str]:
    """One a collection: where a single one is given, it serves all."""
    given = list(settings.first_stage)
    if len(given) not in (1, count):
        raise InputError(f"{len(given)} first stages for {count} collections: give one, or one for each")
    if count > 1 and (settings.index or settings.topics or settings.qrels):
        raise InputError("--index, --topics and --qrels need a single --collection")
    return given * count if len(given) == 1 else given


def _pyserinis_figures(reports: Sequence[Report]) -> list[Published]:
    stages = {report.collection.name: report.candidates.name for report in reports}
    return published_by_pyserini({name: stage for name, stage in stages.items() if is_prebuilt(name)})


def _require_distinct(names: Sequence[str], what: str, mend: str) -> None:
    for one, other in combinations(names, 2):
        if one == other:
            raise InputError(f"two {what} are called {one!r}; name them apart: {mend}")
        if slug(one).casefold() == slug(other).casefold():
            raise InputError(
                f"the {what} {one!r} and {other!r} would be written to the same files; name them apart: {mend}"
            )


def _require_baseline(baseline: str | None, names: Sequence[str]) -> None:
    if baseline is not None and baseline not in names:
        raise InputError(f"--baseline {baseline!r} is none of the systems: {', '.join(names)}")


def _refuse_unused_runs(specs: Sequence[str], reports: Sequence[Report]) -> None:
    names = {result.system.name for report in reports for result in report.results}
    unused = next((spec for spec in specs if parse_named(spec)[0] not in names), None)
    if unused is not None:
        raise InputError(f"run {unused} has no query of any collection")
