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
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.cost import Budget

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


def advance(conversation: Conversation[Result], answer: ChatAnswer | None) -> ChatRequest | Result:
    """The next request of a conversation, or its result; `answer` is that to the request before, None at first."""
    try:
        return next(conversation) if answer is None else conversation.send(answer)
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

    `waiting`: a file for items that are read more than once, None where once is enough.
    """

    waiting: Path | None = None

    def __init__(self, cache: AnswerCache, budget: Budget) -> None:
        self.cache = cache
        self.budget = budget

    @abstractmethod
    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """Each item with what its conversation led to, in the order of the items.

        Raises:
            InputError: where the model cannot be reached or refuses the request; the answers so far stay.
            BudgetReached: where the cap on cost is reached.
        """
