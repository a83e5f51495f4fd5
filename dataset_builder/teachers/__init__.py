"""Teachers put a pool of passages in order; the student learns that order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dataset_builder.ranking_example import RankingExample
from retrieval.records import Passage


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """A teacher's order of a pool.

    `order`: indices into the pool, most relevant first, a permutation of it; None where the answer
    gave none. `label_status` is one of `ranking_example.LABEL_STATUSES`. `scores`: as `RankingExample.teacher_scores`;
    `repaired_places`: as there.
    """

    order: tuple[int, ...] | None
    label_status: str
    scores: tuple[float, ...] | None = None
    repaired_places: int = 0


class Teacher(Protocol):
    """Ranks passages for a query. `name` is what the dataset's `teacher` column says."""

    name: str

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """The examples, in the same order, with what `labelled` fills."""
        ...

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages`, given in first-stage order, for `query`."""
        ...


def best_first(scores: Sequence[float]) -> TeacherAnswer:
    """The order and scores of a teacher that scores passage by passage; ties keep the first-stage order."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])
    return TeacherAnswer(tuple(order), "ok", tuple(scores))


def labelled(example: RankingExample, answer: TeacherAnswer, teacher: str) -> RankingExample:
    """`example` with the answer of the teacher called `teacher`: its order, scores and status."""
    return replace(
        example,
        teacher_order=answer.order,
        teacher_scores=answer.scores,
        label_status=answer.label_status,
        teacher=teacher,
        repaired_places=answer.repaired_places,
    )
