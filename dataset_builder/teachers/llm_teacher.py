"""What all language-model teachers share: a pool's way from request to request, live or from disk."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dataset_builder.records import Passage, Query, RankingExample, RetrievedPassage
from dataset_builder.teachers import TeacherAnswer, labelled
from dataset_builder.teachers.answer_cache import AnswerCache
from dataset_builder.teachers.chat import ChatAnswer, ChatRequest
from dataset_builder.teachers.cost import Budget
from dataset_builder.teachers.listwise import ListwiseSettings, advance, begin_ranking


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer: what `inspect` shows."""

    request: ChatRequest
    answer: ChatAnswer


def replay(
    example: RankingExample, settings: ListwiseSettings, cache: AnswerCache
) -> tuple[list[Exchange], ChatRequest | TeacherAnswer]:
    """The answers in `cache` on the way to this example's order, and where they lead: to the order, or to
    the first request that has no answer yet. Sends nothing."""
    ranking = begin_ranking(example, settings)
    exchanges: list[Exchange] = []
    answer: ChatAnswer | None = None
    while True:
        step = advance(ranking, answer)
        answer = cache.get(step) if isinstance(step, ChatRequest) else None
        if answer is None or isinstance(step, TeacherAnswer):
            return exchanges, step
        exchanges.append(Exchange(step, answer))


class LLMTeacher(ABC):
    """A chat model that ranks pools listwise. Every answer comes from, or goes into, `cache`."""

    def __init__(self, settings: ListwiseSettings, cache: AnswerCache, budget: Budget) -> None:
        self.settings = settings
        self.cache = cache
        self.budget = budget
        self.name = settings.name

    @abstractmethod
    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """The examples, in the same order, with `teacher_order`, `label_status` and `teacher`.

        An example without a usable order comes out with `teacher_order` None.

        Raises:
            InputError: where the model cannot be reached or refuses the request; the answers so far stay.
            BudgetReached: where the cap on cost is reached.
        """

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank one pool, given in first-stage order."""
        pool = tuple(RetrievedPassage(passage, rank, 0.0) for rank, passage in enumerate(passages, start=1))
        (example,) = self.label([RankingExample(Query("", query), "", pool)])
        return TeacherAnswer(example.teacher_order, example.label_status)

    def _labelled(self, example: RankingExample, answer: TeacherAnswer) -> RankingExample:
        return labelled(example, answer, self.name)
