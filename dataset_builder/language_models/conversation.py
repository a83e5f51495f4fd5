"""What a language model is asked for one item, and the ways to lead many such conversations.

A conversation is a generator that knows no network: it yields a request, is sent its answer, and returns what the
answers led to. Calls side by side, rounds of a batch, generation here and a replay from disk all drive the same code.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome
from dataset_builder.language_models.pace import Pace

Item = TypeVar("Item")
Result = TypeVar("Result")

Conversation = Generator[ChatRequest, ChatAnswer, Result]
# The items to talk about; a batch reads them once a round.
Items = Callable[[], Iterable[Item]]
Begin = Callable[[Item], Conversation[Result]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer: what `inspect` shows."""

    request: ChatRequest
    answer: ChatAnswer


class Rejection(Exception):
    """Raised inside a conversation whose request the server does not take, at all or in this length."""

    def __init__(self, words: str, too_long: bool) -> None:
        super().__init__(words)
        self.too_long = too_long


def advance(conversation: Conversation[Result], answer: ChatAnswer | None) -> ChatRequest | Result:
    """The next request of a conversation, or its result; `answer` is that to the request before, None at first.

    A rejected request raises `Rejection` where the conversation waits for its answer.
    """
    try:
        if answer is None:
            return next(conversation)
        if answer.outcome is Outcome.REJECTED:
            return conversation.throw(Rejection(answer.rejection, answer.too_long))
        return conversation.send(answer)
    except StopIteration as done:
        return cast(Result, done.value)


def replay(
    conversation: Conversation[Result], cache: AnswerCache
) -> tuple[list[Exchange], ChatRequest | Result]:
    """The answers in `cache` on the way through a conversation, and where they lead: to its result, or to the
    first request that has no answer yet. Sends nothing."""
    exchanges: list[Exchange] = []
    answer: ChatAnswer | None = None
    while True:
        step = advance(conversation, answer)
        if not isinstance(step, ChatRequest) or (answer := cache.get(step)) is None:
            return exchanges, step
        exchanges.append(Exchange(step, answer))


class LanguageModel(ABC):
    """A model that answers requests. Every answer comes from, or goes into, `cache`.

    `pace` says how long it will take, where calls are made one by one. `waiting`: a file for items that are read more
    than once, None where once is enough.
    """

    waiting: Path | None = None

    def __init__(self, cache: AnswerCache, budget: Budget) -> None:
        self.cache = cache
        self.budget = budget
        self.pace = Pace()

    @abstractmethod
    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """Each item with what its conversation led to, in the order of the items.

        Raises:
            InputError: where the model cannot be reached, or takes none of the requests; the answers so far stay.
            BudgetReached: where the cap on cost is reached.
        """
