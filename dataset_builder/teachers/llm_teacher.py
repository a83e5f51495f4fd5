"""A language model as a teacher: each pool is a conversation, listwise or pointwise, which ends in its order."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from dataset_builder.build.folder import read_examples, write_examples
from dataset_builder.language_models.conversation import Conversation, LanguageModel
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teachers import TeacherAnswer, labelled
from retrieval.records import Passage, Query

Ranking = Conversation[TeacherAnswer]


class RankingMethod(Protocol):
    """How a language model is asked to rank: listwise or pointwise, with its prompt."""

    @property
    def name(self) -> str:
        """What the dataset's `teacher` column says."""
        ...

    def begin(self, example: RankingExample) -> Ranking:
        """The conversation that ranks the example's pool."""
        ...


class LLMTeacher:
    """Ranks pools by asking `model` as `method` says."""

    def __init__(self, method: RankingMethod, model: LanguageModel) -> None:
        self.method = method
        self.model = model
        self.name = method.name

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`. An example without a usable order comes out with `teacher_order` None.

        Raises:
            InputError, BudgetReached: see `LanguageModel.converse`.
        """
        waiting = self.model.waiting
        if waiting is not None:
            write_examples(waiting, examples)
        pools = (lambda: examples) if waiting is None else (lambda: read_examples(waiting))
        for example, answer in self.model.converse(pools, self.method.begin):
            yield labelled(example, answer, self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank one pool, given in first-stage order."""
        pool = tuple(RetrievedPassage(passage, rank, 0.0) for rank, passage in enumerate(passages, start=1))
        (example,) = self.label([RankingExample(Query("", query), "", pool)])
        return TeacherAnswer(example.teacher_order, example.label_status, example.teacher_scores)
