"""What an evaluation found on one collection, and as a JSON record for cards."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from evaluation.collections import JudgedCollection
from evaluation.first_stage import Candidates
from evaluation.measures import MAIN_MEASURE, PerQuery, mean, measures_of, per_query
from evaluation.significance import Comparison, bootstrap_interval, compare, holm
from evaluation.systems import SystemRun

FIRST_STAGE = "first stage"


@dataclass(frozen=True, slots=True)
class SystemResult:
    """A system on a collection. `interval`: 95% bootstrap interval of nDCG@10 over queries."""

    system: SystemRun
    values: PerQuery
    interval: tuple[float, float]

    @property
    def main(self) -> float:
        """Mean nDCG@10."""
        return mean(self.values[MAIN_MEASURE])


@dataclass(frozen=True, slots=True)
class Report:
    """All systems on one collection. The first is the first stage, which the others are compared with; `against`: the
    same comparisons with another system, the baseline, where one is given. `notes`: what of the collection and the
    runs is missing, a sentence each."""

    collection: JudgedCollection
    candidates: Candidates
    top_k: int
    seed: int
    relevant_from: int
    results: Sequence[SystemResult]
    comparisons: Sequence[Comparison]
    against: Sequence[Comparison] = ()
    notes: Sequence[str] = ()

    @property
    def marks(self) -> dict[str, str]:
        """System → `▲` or `▼` where its nDCG@10 differs significantly from the first stage's."""
        return {found.system: found.mark for found in self.comparisons}

    @property
    def measures(self) -> list[str]:
        """Those that every system has; see `measures_of`."""
        return list(self.results[0].values)

    @property
    def num_own(self) -> int:
        """Queries whose own passage was found, and left out."""
        return max(result.system.num_own for result in self.results)

    def to_json(self) -> dict[str, object]:
        """Everything a model card needs to quote these figures."""
        return {
            "collection": self.collection.name,
            "collection_sha256": self.collection.sha256,
            "first_stage": self.candidates.name,
            "candidates_sha256": self.candidates.sha256,
            "num_queries": len(self.collection.qrels),
            "num_judged": self.collection.num_judged,
            "top_k": self.top_k,
            "seed": self.seed,
            "relevant_from": self.relevant_from,
            "notes": list(self.notes),
            "own_passages_left_out": self.num_own,
            "systems": {result.system.name: _system_json(result) for result in self.results},
            "comparisons": [asdict(comparison) for comparison in self.comparisons],
            "against": [asdict(comparison) for comparison in self.against],
        }


def make_report(
    collection: JudgedCollection,
    candidates: Candidates,
    systems: Sequence[SystemRun],
    top_k: int,
    seed: int,
    relevant_from: int,
    baseline: str | None = None,
) -> Report:
    """Measure `systems`, the first of which is the first stage, and compare the others with it, and with `baseline`."""
    measured = {system.name: per_query(collection.qrels, system.run, relevant_from) for system in systems}
    names = measures_of(top_k)
    values = {system: {name: found[name] for name in names} for system, found in measured.items()}
    main = {
        name: [found[MAIN_MEASURE][query_id] for query_id in collection.qrels]
        for name, found in values.items()
    }
    results = [SystemResult(s, values[s.name], bootstrap_interval(main[s.name], seed)) for s in systems]
    comparisons = compare(main, systems[0].name, seed)
    against = compare(main, baseline, seed) if baseline else ()
    return Report(collection, candidates, top_k, seed, relevant_from, results, comparisons, against)


def correct_together(reports: Sequence[Report]) -> list[Report]:
    """Correct the p-values of all collections as one family (Holm): they stand in one table."""
    p_values = [found.p_randomization for report in reports for found in report.comparisons]
    corrected = iter(holm(p_values))
    return [
        replace(report, comparisons=[replace(found, p_holm=next(corrected)) for found in report.comparisons])
        for report in reports
    ]


def overall(reports: Sequence[Report]) -> Mapping[str, Mapping[str, SystemResult]]:
    """System → collection → result, over all reports; every first stage is called `first stage`."""
    found: dict[str, dict[str, SystemResult]] = {FIRST_STAGE: {}}
    for report in reports:
        for position, result in enumerate(report.results):
            name = FIRST_STAGE if position == 0 else result.system.name
            found.setdefault(name, {})[report.collection.name] = result
    return found


def _system_json(result: SystemResult) -> dict[str, object]:
    system = result.system
    return {
        "means": {name: mean(values) for name, values in result.values.items()},
        "interval": result.interval,
        "revision": system.revision,
        "num_pairs": system.num_pairs,
        "num_cached": system.num_cached,
        "num_timed": system.num_timed,
        "seconds": system.seconds,
        "passages_per_second": system.passages_per_second,
        "per_query": result.values,
    }
