"""Several teachers as one: the weighted sum of their scores, each normalised over the query's pool.

Ensembles are the better teachers where their members err differently (Hofstätter et al., arXiv 2010.02666; Montague
and Aslam, "Relevance Score Normalization for Metasearch", CIKM 2001, for zero mean and unit variance).
"""

from collections.abc import Iterable, Iterator, Sequence

import torch

from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import Teacher, TeacherAnswer, best_first, labelled
from retrieval.batches import batched
from retrieval.records import Hit, Passage
from retrieval.retrievers import Retriever

# Each member sees so many pools before the next one's turn.
POOLS_AT_ONCE = 1024
RETRIEVAL_DEPTH = 1000


class EnsembleTeacher:
    """Orders a pool by what its members make of it together.

    A member that gives an order without scores counts by its ranks. A pool that one of them gives no order has none.
    """

    def __init__(self, name: str, members: Sequence[tuple[Teacher, float]]) -> None:
        self.name = name
        self.members = members

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`."""
        for group in batched(examples, POOLS_AT_ONCE):
            yield from self.fused(group, [list(teacher.label(group)) for teacher, _ in self.members])

    def fused(
        self, pools: Sequence[RankingExample], views: Sequence[Sequence[RankingExample]]
    ) -> list[RankingExample]:
        """`pools` as all members together label them. `views`: what each member made of them."""
        return [
            labelled(pool, self._together([answer_of(view) for view in of_pool]), self.name)
            for pool, *of_pool in zip(pools, *views, strict=True)
        ]

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`, with their scores."""
        return self._together([teacher.order(query, passages) for teacher, _ in self.members])

    def _together(self, answers: Sequence[TeacherAnswer]) -> TeacherAnswer:
        return together(answers, [weight for _, weight in self.members])


def together(answers: Sequence[TeacherAnswer], weights: Sequence[float]) -> TeacherAnswer:
    """The weighted sum of what several teachers make of one pool; no order where one of them gives none."""
    without = next((answer for answer in answers if answer.order is None), None)
    if without is not None:
        return TeacherAnswer(None, without.label_status)
    weighted = [weight * normalised(answer) for answer, weight in zip(answers, weights, strict=True)]
    answer = best_first(torch.stack(weighted).sum(dim=0).tolist())
    status = "repaired" if any(own.label_status == "repaired" for own in answers) else "ok"
    return TeacherAnswer(answer.order, status, answer.scores, max(own.repaired_places for own in answers))


def answer_of(example: RankingExample) -> TeacherAnswer:
    """The answer that `labelled` wrote into `example`."""
    return TeacherAnswer(
        example.teacher_order, example.label_status, example.teacher_scores, example.repaired_places
    )


def normalised(answer: TeacherAnswer) -> torch.Tensor:
    """An answer's scores, or minus its ranks, with mean 0 and variance 1, (num_passages,) float64; 0 where all are
    alike."""
    if answer.scores is not None:
        values = torch.tensor(answer.scores, dtype=torch.float64)
    else:
        values = -torch.tensor(answer.order, dtype=torch.long).argsort().double()
    centred = values - values.mean()
    spread = centred.square().mean().sqrt()
    return centred / spread if spread > 0 else centred


class RetrieverTeacher:
    """What a retrieval method says of a pool: its scores; a passage beyond its depth has the lowest found."""

    def __init__(self, retriever: Retriever) -> None:
        self.name = retriever.name
        self._retriever = retriever

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`."""
        for example in examples:
            passages = [found.passage for found in example.passages]
            yield labelled(example, self.order(example.query.text, passages), self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`, with their scores."""
        return as_found(self._retriever.search([query], RETRIEVAL_DEPTH)[0], passages)


def as_found(hits: Sequence[Hit], passages: Sequence[Passage]) -> TeacherAnswer:
    """`passages` by the scores of `hits`; one that is not among them has the lowest found."""
    found = {hit.docid: hit.score for hit in hits}
    lowest = min(found.values(), default=0.0)
    return best_first([found.get(passage.docid, lowest) for passage in passages])
