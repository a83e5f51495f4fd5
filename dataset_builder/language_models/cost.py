"""What labelling costs: before anything is sent, while it runs, and where it must stop."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import yaml

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from retrieval.errors import InputError

_PRICES = Path(__file__).parent / "prices.yaml"


class BudgetReached(InputError):
    """The cap on cost is reached. Every answer so far is kept; a higher cap continues."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    completion: float

    @classmethod
    def of(cls, model: str) -> Self | None:
        """The price in `prices.yaml`, None for a model it lacks; dated versions cost what the model does."""
        prices = _price_table().models
        families = [name for name in prices if model == name or model.startswith(f"{name}-20")]
        return cls(**prices[families[0]]) if families else None

    def cost(self, prompt_tokens: int, completion_tokens: int, batch: bool = False) -> float:
        """US dollars for so many tokens."""
        full = (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6
        return full * _price_table().batch_share if batch else full


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is still to be paid, tokens estimated from characters. `cost`: None where no price is known."""

    queries: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None

    def __str__(self) -> str:
        cost = "cost unknown (no price for this model)" if self.cost is None else f"about ${self.cost:,.2f}"
        return (
            f"{self.queries:,} queries, {self.calls:,} calls still to pay, "
            f"about {self.prompt_tokens:,} prompt and {self.completion_tokens:,} answer tokens "
            f"(without reasoning or repeated requests), {cost}"
        )


class Budget:
    """Watches what the answers in `cache` cost, over all processes and runs that write to its folder.

    `max_cost`: US dollars for the folder as a whole, so that a restart does not spend it again. What is in
    flight when the cap is reached is still paid: at most one call for each concurrent query.

    Raises:
        InputError: for a cap where the model's price is not known.
    """

    def __init__(
        self, cache: AnswerCache, model: str, price: Price | None, max_cost: float | None = None
    ) -> None:
        if max_cost is not None and price is None:
            raise InputError(
                f"max_cost needs the price of {model!r}, which prices.yaml lacks; give its prices"
            )
        self.cache = cache
        self.model = model
        self.price = price
        self.max_cost = max_cost

    @property
    def spent(self) -> float | None:
        """US dollars so far; None without a price."""
        if self.price is None:
            return None
        return sum(
            self.price.cost(paid.prompt_tokens, paid.completion_tokens, batch)
            for (model, batch), paid in self.cache.paid.items()
            if model == self.model
        )

    def check(self, planned: float = 0.0) -> None:
        """Refuse to go on where `planned` US dollars more would pass the cap.

        Raises:
            BudgetReached: then.
        """
        if self.max_cost is None:
            return
        self.cache.look()
        spent = self.spent or 0.0
        if spent >= self.max_cost or spent + planned > self.max_cost:
            more = f" and ${planned:,.4f} more are planned" if planned else ""
            raise BudgetReached(
                f"${spent:,.4f} are spent{more}, max_cost is ${self.max_cost:,.4f}; all answers are kept: "
                "raise max_cost to continue"
            )

    def __str__(self) -> str:
        """For a progress bar: tokens and cost so far."""
        paid = [paid for (model, _), paid in self.cache.paid.items() if model == self.model]
        tokens = sum(each.prompt_tokens + each.completion_tokens for each in paid)
        cost = "" if self.spent is None else f", ${self.spent:,.2f}"
        return f"{sum(each.answers for each in paid):,} answers, {tokens / 1e6:,.2f}M tokens{cost}"


def estimate(
    conversations: Iterable[Generator[ChatRequest, ChatAnswer, object]],
    cache: AnswerCache,
    price: Price | None,
    batch: bool = False,
) -> Estimate:
    """What these conversations will still take, with every answer usable; nothing is sent.

    The very requests of a run are made; answers in the cache are used, a missing one is taken to be what its request
    calls the simplest (`ChatRequest.assumed_answer`).
    """
    queries = calls = prompt_tokens = completion_tokens = 0
    for conversation in conversations:
        queries += 1
        for request in _missing_requests(conversation, cache):
            prompt, completion = request.estimated_tokens
            calls += 1
            prompt_tokens += prompt
            completion_tokens += completion
    cost = None if price is None else price.cost(prompt_tokens, completion_tokens, batch)
    return Estimate(queries, calls, prompt_tokens, completion_tokens, cost)


def _missing_requests(
    conversation: Generator[ChatRequest, ChatAnswer, object], cache: AnswerCache
) -> Iterator[ChatRequest]:
    try:
        request = next(conversation)
        while True:
            answer = cache.get(request)
            if answer is None:
                yield request
                answer = request.assumed_answer
            request = conversation.send(answer)
    except StopIteration:
        return


@dataclass(frozen=True, slots=True)
class _PriceTable:
    models: dict[str, dict[str, float]]
    batch_share: float


@cache
def _price_table() -> _PriceTable:
    return _PriceTable(**yaml.safe_load(_PRICES.read_text()))
