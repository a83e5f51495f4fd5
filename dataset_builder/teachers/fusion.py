"""The offline teacher: reciprocal rank fusion of several retrievers. It is not a language model.

Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", SIGIR 2009. Each list gives a passage 1 / (60 + rank); a passage that a list
does not hold gets nothing from it.
"""

from collections.abc import Iterable, Iterator, Sequence

from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import FUSION
from dataset_builder.teachers import TeacherAnswer, labelled
from retrieval.records import Passage
from retrieval.retrievers import Retriever

RRF_CONSTANT = 60


class FusionTeacher:
    """Orders a pool by the fused ranks of its passages in the retrievers' top `depth`."""

    name = FUSION

    def __init__(self, retrievers: Sequence[Retriever], depth: int = 100) -> None:
        self.retrievers = retrievers
        self.depth = depth

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`."""
        for example in examples:
            answer = self.order(example.query.text, [found.passage for found in example.passages])
            yield labelled(example, answer, self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank `passages` for `query`; ties keep the first-stage order."""
        fused: dict[str, float] = {}
        for retriever in self.retrievers:
            for rank, hit in enumerate(retriever.search([query], self.depth)[0], start=1):
                fused[hit.docid] = fused.get(hit.docid, 0.0) + 1 / (RRF_CONSTANT + rank)
        scores = [fused.get(passage.docid, 0.0) for passage in passages]
        order = sorted(range(len(passages)), key=lambda index: -scores[index])
        return TeacherAnswer(tuple(order), "ok")
