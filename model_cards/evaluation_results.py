"""The figures of a checkpoint on judged collections, from evaluation's `results.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml

from evaluation.measures import MAIN_MEASURE
from evaluation.significance import Comparison, compare
from retrieval.errors import InputError

BENCHMARKS = Path(__file__).parent / "hub_benchmarks.yaml"
EVAL_RESULTS = ".eval_results/twolar.yaml"


@dataclass(frozen=True, slots=True)
class SystemRow:
    """A system on one collection. `interval`: of its mean nDCG@10, 95%; `change`: from the baseline, None of itself."""

    name: str
    means: dict[str, float]
    interval: tuple[float, float]
    change: Comparison | None
    passages_per_second: float | None


@dataclass(frozen=True, slots=True)
class CollectionResult:
    """All systems on one collection, the first stage first. `means`: the checkpoint's, measure → mean over queries;
    `baseline`: the system that the others are compared with."""

    collection: str
    first_stage: str
    num_queries: int
    top_k: int
    means: dict[str, float]
    baseline: str
    rows: Sequence[SystemRow]
    command: str
    commit: str | None
    machine: str


def read_results(
    path: Path, system: str, revision: str, baseline: str | None = None
) -> list[CollectionResult]:
    """The figures of `system`, and of those beside it, on every collection of a `results.json`.

    Args:
        revision: hash of the checkpoint's weights; figures of other weights are refused.
        baseline: the system to compare with; None: the evaluation's own, or else the first stage.

    Raises:
        InputError: for a file that is missing or lacks a system or a field, or measured other weights or a part of
            the queries.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: the card's figures come from it; run python -m evaluation")
    try:
        results = [
            _result(record, system, revision, baseline, path) for record in json.loads(path.read_text())
        ]
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no results.json of python -m evaluation ({error})") from error
    except KeyError as error:
        raise InputError(f"{path} lacks {error} for {system}; run python -m evaluation again") from error
    if not results:
        raise InputError(f"{path} holds no collection; run python -m evaluation again")
    return results


def _result(record: dict, system: str, revision: str, baseline: str | None, path: Path) -> CollectionResult:
    systems = record["systems"]
    baseline = baseline or _own_baseline(record)
    for name, flag in ((system, "--system"), (baseline, "--baseline")):
        if name not in systems:
            raise InputError(f"{path} has no system {name!r}, only {', '.join(systems)}; choose with {flag}")
    measured = systems[system]
    if measured["revision"] != revision:
        raise InputError(
            f"{path} measured other weights as {system!r} ({measured['revision'][:12]}, the checkpoint is "
            f"{revision[:12]}); run python -m evaluation on this checkpoint"
        )
    if measured["passages_per_second"] is None:
        raise InputError(f"{path} has no passages_per_second of {system!r}: a run file, not a checkpoint")
    refuse_limited(record, path)
    return CollectionResult(
        collection=record["collection"],
        first_stage=record["first_stage"],
        num_queries=record["num_queries"],
        top_k=record["top_k"],
        means=measured["means"],
        baseline=baseline,
        rows=_rows(systems, baseline, record["seed"]),
        command=record["command"],
        commit=record["commit"],
        machine=record["machine"],
    )


def refuse_limited(record: Mapping, path: Path) -> None:
    """Find out whether all judged queries were measured.

    Raises:
        InputError: where --limit_queries left some out.
    """
    if "num_judged" not in record:
        raise InputError(f"{path} is of an earlier version; run python -m evaluation again")
    if record["num_queries"] < record["num_judged"]:
        raise InputError(
            f"{path} measured {record['num_queries']} of {record['num_judged']} queries of {record['collection']} "
            "(--limit_queries): a quick look, not a result; run python -m evaluation without it"
        )


def _own_baseline(record: dict) -> str:
    return record["against"][0]["baseline"] if record["against"] else record["first_stage"]


def _rows(systems: dict, baseline: str, seed: int) -> list[SystemRow]:
    main = {name: list(found["per_query"][MAIN_MEASURE].values()) for name, found in systems.items()}
    changes = {found.system: found for found in compare(main, baseline, seed)}
    return [
        SystemRow(
            name=name,
            means=found["means"],
            interval=tuple(found["interval"]),
            change=changes.get(name),
            passages_per_second=found["passages_per_second"],
        )
        for name, found in systems.items()
    ]


def model_index(results: Sequence[CollectionResult]) -> list[EvalResult]:
    """Every measure of every collection, for the card's `model-index`."""
    return [
        EvalResult(
            task_type="text-ranking",
            task_name="Reranking",
            dataset_type=_benchmark(result) or result.collection,
            dataset_name=f"{result.collection} (top {result.top_k} of {result.first_stage})",
            metric_type=measure.lower().replace("@", "_at_"),
            metric_name=measure,
            metric_value=round(value, 4),
        )
        for result in results
        for measure, value in result.means.items()
    ]


def eval_results_yaml(results: Sequence[CollectionResult]) -> str:
    """`.eval_results/*.yaml`: nDCG@10 on the collections that have a dataset on the Hub; empty without one."""
    entries = [
        EvalResultEntry(
            dataset_id=dataset_id,
            task_id="default",
            value=round(result.means[MAIN_MEASURE], 4),
            notes=f"{MAIN_MEASURE}, reranking the top {result.top_k} of {result.first_stage}",
        )
        for result in results
        if (dataset_id := _benchmark(result))
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False) if entries else ""


def _benchmark(result: CollectionResult) -> str | None:
    """The collection's dataset on the Hub. A BEIR folder's name carries its split."""
    return yaml.safe_load(BENCHMARKS.read_text()).get(result.collection.removesuffix(" (test)"))
