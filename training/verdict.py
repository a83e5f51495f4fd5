"""Was the training worth it? Start and student, compared query by query."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.significance import LEVEL as SIGNIFICANT
from evaluation.significance import compare
from training.held_out import PerQuery

WIN, LEVEL, WORSE, UNKNOWN = "WIN", "LEVEL", "WORSE", "UNKNOWN"
# A loss need not be proven, as a win must: what falls by more than this is not level.
TOLERANCE = 0.005


@dataclass(frozen=True, slots=True)
class Change:
    """What training changed on one set of queries. `p`: of a paired randomization test, two-sided."""

    measured_on: str
    num_queries: int
    start: float
    end: float
    difference: float
    p: float

    @property
    def word(self) -> str:
        """`WIN`: better, p < 0.05. `WORSE`: p < 0.05, or by more than 0.005 whatever p. `LEVEL`: neither."""
        if self.difference > 0:
            return WIN if self.p < SIGNIFICANT else LEVEL
        return WORSE if self.p < SIGNIFICANT or self.difference < -TOLERANCE else LEVEL

    def __str__(self) -> str:
        return (
            f"nDCG@10 {self.start:.4f} → {self.end:.4f} ({self.difference:+.4f}, p {self.p:.4f}, "
            f"{self.num_queries} queries) on {self.measured_on}"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word`: by the first of `changes`, judgments before the teacher's opinion; `merge_weight`: see `merging.py`."""

    word: str
    changes: Sequence[Change]
    merge_weight: float | None = None

    def __str__(self) -> str:
        if not self.changes:
            return f"{self.word}: nothing was held out to measure on; give --held_out or --eval_collection"
        merged = (
            "" if self.merge_weight is None else f"; merged with {1 - self.merge_weight:.0%} of the start"
        )
        return f"{self.word}: the student against its start: {'; '.join(map(str, self.changes))}{merged}"

    def to_json(self) -> dict[str, object]:
        """For `training_run.json`."""
        return asdict(self)


def give_verdict(
    start: Mapping[str, PerQuery], end: Mapping[str, PerQuery], seed: int, merge_weight: float | None = None
) -> Verdict:
    """Compare what was measured of the start with the same of the student.

    Args:
        start, end: as `HeldOut.measure` gives it.
        seed: of the randomization test.
        merge_weight: of the trained weights in what was saved; None where nothing was merged.
    """
    changes = [_change(name, start[name], end[name], seed) for name in start]
    return Verdict(changes[0].word if changes else UNKNOWN, changes, merge_weight)


def _change(name: str, start: PerQuery, end: PerQuery, seed: int) -> Change:
    values = {"start": list(start.values()), "end": [end[query] for query in start]}
    (found,) = compare(values, "start", seed)
    means = {which: float(np.mean(own)) for which, own in values.items()}
    return Change(name, len(start), means["start"], means["end"], found.difference, found.p_randomization)


def read_verdict(record: Mapping[str, Any]) -> Verdict:
    """What `Verdict.to_json` gave.

    Raises:
        KeyError, TypeError: where it is something else.
    """
    changes = [Change(**change) for change in record["changes"]]
    return Verdict(record["word"], changes, record["merge_weight"])
