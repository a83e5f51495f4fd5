"""The record that grows on its way through a build: a query, its pool, and the teacher's order."""

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from retrieval.records import Hit, Passage, Query

LABEL_STATUSES = ("ok", "repaired", "refused", "unusable", "rejected")


@dataclass(frozen=True, slots=True)
class RetrievedPassage:
    """A passage in a query's pool, with its place (from 1) and score in the retriever's list."""

    passage: Passage
    retriever_rank: int
    retriever_score: float


@dataclass(frozen=True, slots=True)
class RankingExample:
    """One query on its way: each stage fills fields with `dataclasses.replace`.

    `teacher_order` holds indices into `passages`, most relevant first; it is a permutation of them,
    or None before a teacher has seen the pool. `teacher_scores` holds a score for each of `passages`, in the order
    of `passages`, higher is more relevant; along `teacher_order` they never rise. None where the teacher gives only
    an order. `repaired_places` counts the passages whose places the teacher did not give for sure: those that an answer
    left out, tied or repeated, which stand as they were shown.

    Raises:
        ValueError: for an empty pool, an order that is no permutation, or scores that are not finite, are not one
            a passage or contradict the order.
    """

    query: Query
    retriever: str
    passages: tuple[RetrievedPassage, ...]
    teacher_order: tuple[int, ...] | None = None
    teacher_scores: tuple[float, ...] | None = None
    label_status: str = ""
    teacher: str = ""
    repaired_places: int = 0

    def __post_init__(self) -> None:
        if not self.passages:
            raise ValueError(f"empty passage list for query {self.query.query_id!r}")
        if self.teacher_order is not None and sorted(self.teacher_order) != list(range(len(self.passages))):
            raise ValueError(
                f"teacher_order of query {self.query.query_id!r} is not a permutation of its "
                f"{len(self.passages)} passages: {self.teacher_order}"
            )
        if self.teacher_scores is not None:
            self._check_scores(self.teacher_scores)

    def _check_scores(self, scores: tuple[float, ...]) -> None:
        of_query = f"teacher_scores of query {self.query.query_id!r}"
        if self.teacher_order is None:
            raise ValueError(f"{of_query} come without a teacher_order")
        if len(scores) != len(self.passages):
            raise ValueError(f"{of_query} are {len(scores)}, its passages {len(self.passages)}")
        if not all(map(isfinite, scores)):
            raise ValueError(f"{of_query} are not all finite: {scores}")
        if any(scores[above] < scores[below] for above, below in pairwise(self.teacher_order)):
            raise ValueError(f"{of_query} contradict its teacher_order {self.teacher_order}: {scores}")


def hits_in_order(example: RankingExample) -> list[Hit]:
    """A pool as a run's hits, in the teacher's order, in the first stage's where it has none; the score is minus the
    rank."""
    order = range(len(example.passages)) if example.teacher_order is None else example.teacher_order
    docids = [example.passages[index].passage.docid for index in order]
    return [Hit(docid, float(-rank)) for rank, docid in enumerate(docids, start=1)]
