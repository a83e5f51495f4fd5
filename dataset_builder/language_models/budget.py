"""The cap on cost: where labelling must stop, whoever labels at the same time."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset_builder.language_models.answer_cache import AnswerCache, TokensPaid
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome
from dataset_builder.language_models.ledger import Call, Ledger
from dataset_builder.language_models.prices import Price
from dataset_builder.language_models.rate_limit import RateLimit
from retrieval.errors import InputError

# Between two looks at whether a call in flight turned out cheaper than planned.
SECONDS_BETWEEN_LOOKS = 0.1
SECONDS_BETWEEN_NOTES = 1.0


class BudgetReached(InputError):
    """The cap on cost is reached. Every answer so far is kept; a higher cap continues."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A call's turn: its number in the ledger; or None, and how many seconds to wait before asking again."""

    number: int | None
    wait: float = 0.0


class Budget:
    """What the calls to one model cost, over all tasks, processes and runs of a build: reserved in `ledger` before
    they are sent, settled when they are answered.

    `max_cost`: US dollars that this build may pay. Answers that another build paid for cost it nothing. What a call
    takes is planned from the largest one so far, so that at most the cap and what one call costs is spent.

    Args:
        ledger: by default one that is not kept, and begins with what all the answers cost.
        is_paid: whether somebody else runs the model. Nothing is paid for a call to one that runs here, also not for
            one that a kill cut off: only what is used counts.

    Raises:
        InputError: for a cap where the model's price is not known.
    """

    def __init__(
        self,
        cache: AnswerCache,
        model: str,
        price: Price | None,
        max_cost: float | None = None,
        ledger: Ledger | None = None,
        patience: float = 120.0,
        is_paid: bool = True,
    ) -> None:
        if max_cost is not None and price is None:
            raise InputError(
                f"max_cost needs the price of {model!r}, which prices.yaml lacks; give its prices"
            )
        self.cache = cache
        self.model = model
        self.price = price
        self.max_cost = max_cost
        self.patience = patience
        self.is_paid = is_paid
        self._uses: dict[str, tuple[bool, ChatAnswer]] = {}
        self._last_noted = 0.0
        if ledger is None:
            ledger = Ledger()
            ledger.take_over(cache.paid)
        self.ledger = ledger
        self._settle_what_was_kept()

    @property
    def spent(self) -> float | None:
        """US dollars that this build has paid so far; None without a price."""
        return self._cost(self.ledger.bought(self.model))

    def turn(self, server: str, request: ChatRequest, limit: RateLimit) -> Turn:
        """Reserve what `request` will cost, and its place within the limits; or say how long to wait.

        Raises:
            BudgetReached: where it would pass the cap.
            InputError: for a request that never fits into the limits.
        """
        now = time.time()
        call = self.planned(server, request)
        with self.ledger.alone():
            wait = limit.seconds_to_wait(self.ledger, call, now) or self._wait_for_money(call, now)
            return Turn(None, wait) if wait else Turn(self.ledger.begin(call, now))

    def planned(self, server: str, request: ChatRequest, batch: str = "") -> Call:
        """The call that `request` makes, as large as the model's largest so far."""
        prompt, completion = request.estimated_tokens
        sizes = self.ledger.sizes(self.model)
        return Call(
            server,
            self.model,
            request.key,
            max(prompt, math.ceil(prompt * sizes.prompt_ratio)),
            max(completion, sizes.completion_tokens, request.sampling.thinking_budget or 0),
            batch,
        )

    def settle(self, number: int, request: ChatRequest, answer: ChatAnswer) -> None:
        """A call was answered, and its answer is on the disk."""
        self.ledger.settle(number, answer, time.time())
        ratio = answer.prompt_tokens / max(1, request.estimated_tokens[0])
        self.ledger.measure(self.model, ratio, answer.completion_tokens)

    def generated(self, answer: ChatAnswer) -> None:
        """A model that runs here gave an answer."""
        self.ledger.paid(self.model, False, TokensPaid(1, answer.prompt_tokens, answer.completion_tokens))

    def check(self) -> None:
        """Refuse to go on where the cap is reached.

        Raises:
            BudgetReached: then.
        """
        if self.max_cost is not None and (self.spent or 0.0) >= self.max_cost:
            raise self._reached(0.0)

    def reserve(self, calls: Sequence[Call]) -> None:
        """Reserve what a round of batches will cost.

        Raises:
            BudgetReached: where it would pass the cap; then nothing is reserved.
        """
        with self.ledger.alone():
            self.ledger.drop({call.batch for call in calls})
            planned = sum(self._cost_of(call) for call in calls)
            if self.max_cost is not None and sum(self._committed(time.time())) + planned > self.max_cost:
                raise self._reached(planned)
            self.ledger.reserve(calls)

    def settle_in_batch(self, batch: str, key: str, answer: ChatAnswer, known: bool) -> None:
        """A call of a batch was answered, and its answer is on the disk. `known`: it was there before."""
        self.ledger.settle_in_batch(self.model, batch, key, answer, known)

    def use(self, request: ChatRequest, answer: ChatAnswer, batch: bool = False) -> None:
        """The build uses an answer, whoever paid for it. Written down once a second, and by `note_uses`."""
        if answer.outcome is not Outcome.REJECTED:
            self._uses[request.key] = (batch, answer)
            if time.monotonic() - self._last_noted > SECONDS_BETWEEN_NOTES:
                self.note_uses()

    def note_uses(self) -> None:
        """Write down which answers are used."""
        if self._uses:
            self.ledger.use(self.model, ((key, *use) for key, use in self._uses.items()))
            self._uses.clear()
        self._last_noted = time.monotonic()

    def _settle_what_was_kept(self) -> None:
        """A kill may fall between an answer's writing and its call's settling."""
        left = [(number, key) for number, key in self.ledger.left_behind(self.model) if key in self.cache]
        for number, key in left:
            self.ledger.settle(number, self.cache.at(key), time.time())

    def _wait_for_money(self, call: Call, now: float) -> float:
        """0 where the call may be sent; else how long to wait for calls that may turn out cheaper."""
        if self.max_cost is None:
            return 0.0
        sure, flying = self._committed(now)
        if flying and not self.ledger.sizes(self.model).completion_tokens:
            return SECONDS_BETWEEN_LOOKS  # the first call shows how large they are
        if sure + flying + self._cost_of(call) <= self.max_cost:
            return 0.0
        if flying and sure + self._cost_of(call) <= self.max_cost:
            return SECONDS_BETWEEN_LOOKS
        raise self._reached(self._cost_of(call))

    def _committed(self, now: float) -> tuple[float, float]:
        """US dollars that are spent, or reserved for good; and those of live calls in flight."""
        sure, flying = self.spent or 0.0, 0.0
        for batch, in_flight, tokens in self.ledger.unsettled(self.model, now - self.patience):
            cost = self._cost({batch: tokens}) or 0.0
            sure, flying = (sure, flying + cost) if in_flight else (sure + cost, flying)
        return sure, flying

    def _reached(self, planned: float) -> BudgetReached:
        sure, flying = self._committed(time.time())
        spent = self.spent or 0.0
        lost = sure + flying - spent
        held = f", up to ${lost:,.4f} for calls whose answer did not arrive or is awaited" if lost else ""
        return BudgetReached(
            f"${spent:,.4f} are spent{held}, and ${planned:,.4f} more are planned; max_cost is "
            f"${self.max_cost:,.4f}; all answers are kept: raise max_cost to continue"
        )

    def _cost_of(self, call: Call) -> float:
        return (
            self._cost({bool(call.batch): TokensPaid(1, call.prompt_tokens, call.completion_tokens)}) or 0.0
        )

    def _cost(self, paid: Mapping[bool, TokensPaid]) -> float | None:
        if self.price is None:
            return None
        return sum(
            self.price.cost(each.prompt_tokens, each.completion_tokens, batch) for batch, each in paid.items()
        )

    def __str__(self) -> str:
        """For a progress bar: what this build has paid for."""
        return self._described(self.ledger.bought(self.model))

    def describe(self) -> str:
        """For status and card: what this build has paid for, and what it uses, where that is something else."""
        used = self._described(self.ledger.used(self.model))
        if not self.is_paid:
            return used
        return str(self) if used.startswith("0 ") or used == str(self) else f"{self} (it uses {used})"

    def _described(self, paid: Mapping[bool, TokensPaid]) -> str:
        tokens = sum(each.prompt_tokens + each.completion_tokens for each in paid.values())
        cost = self._cost(paid)
        dollars = "" if cost is None else f", ${cost:,.2f}"
        return (
            f"{sum(each.answers for each in paid.values()):,} answers, {tokens / 1e6:,.2f}M tokens{dollars}"
        )
