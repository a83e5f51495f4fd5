"""Teachers put a pool of passages in order; the student learns that order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dataset_builder.records import Passage, RankingExample


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """A teacher's order of a pool.

    `order`: indices into the pool, most relevant first, a permutation of it; None where the answer
    gave none. `label_status` is one of `records.LABEL_STATUSES`.
    """

    order: tuple[int, ...] | None
    label_status: str


class Teacher(Protocol):
    """Ranks passages for a query. `name` is what the dataset's `teacher` column says."""

    name: str

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """The examples, in the same order, with `teacher_order`, `label_status` and `teacher`."""
        ...

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages`, given in first-stage order, for `query`."""
        ...
