"""How fast a server may be asked: limits a minute, what its headers say, and how many calls at once.

The limits hold over all processes, since they are read from the ledger; that is why no limiter library does (those
that we know keep their counts in one process, or a row for every token).
"""

import asyncio
import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dataset_builder.language_models.ledger import Call, Ledger
from retrieval.errors import InputError

MINUTE = 60.0
# A server's minute and ours need not tick alike.
MARGIN = 1.0
SHORTEST_WAIT = 0.02
LONGEST_WAIT = 1.0
# A second cut within so many seconds would answer the same overload twice.
SECONDS_BETWEEN_CUTS = 1.0


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What a server allows in a minute; None: as much as it takes. `patience`: the longest a call may take."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    patience: float = 120.0

    def seconds_to_wait(self, ledger: Ledger, call: Call, now: float) -> float:
        """Before `call` may be sent; look again then. Within `ledger.alone()`.

        Raises:
            InputError: for a call that takes more tokens than a minute has.
        """
        pause = ledger.not_before(call.server) - now
        if pause > 0:
            return min(pause, LONGEST_WAIT)
        if self.requests_per_minute is None and self.tokens_per_minute is None:
            return 0.0
        if self.tokens_per_minute is not None and call.tokens > self.tokens_per_minute:
            raise InputError(
                f"one call takes about {call.tokens:,} tokens, --tokens_per_minute is {self.tokens_per_minute:,}; "
                "raise it, or lower --max_words or --window_size"
            )
        sent, tokens, first_over = ledger.window(
            call.server, now - MINUTE - MARGIN, now - MINUTE - self.patience
        )
        if self._full(sent + 1, tokens + call.tokens):
            wait = min(first_over + MINUTE + MARGIN - now, LONGEST_WAIT)
            return max(wait, SHORTEST_WAIT)
        return max(0.0, self._next_turn(*ledger.last_sent(call.server)) - now)

    def _full(self, requests: int, tokens: int) -> bool:
        too_many = self.requests_per_minute is not None and requests > self.requests_per_minute
        return too_many or (self.tokens_per_minute is not None and tokens > self.tokens_per_minute)

    def _next_turn(self, last_sent: float, tokens: int) -> float:
        """Evenly over the minute: a burst would run into limits that count by the second."""
        share = 1 / self.requests_per_minute if self.requests_per_minute else 0.0
        if self.tokens_per_minute:
            share = max(share, tokens / self.tokens_per_minute)
        return last_sent + MINUTE * share


NO_LIMIT = RateLimit()


class Gate:
    """Lets so many calls through at once as the server bears: one more for each round of answers, half as many
    when it says it is busy (additive increase, multiplicative decrease), and never more than `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.allowed = float(most)
        self._inside = 0
        self._changed = asyncio.Condition()
        self._last_cut = -math.inf

    async def __aenter__(self) -> Self:
        async with self._changed:
            await self._changed.wait_for(lambda: self._inside < int(self.allowed))
            self._inside += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def answered(self) -> None:
        """A call was answered."""
        self.allowed = min(self.most, self.allowed + 1 / self.allowed)

    def busy(self) -> None:
        """The server was too busy for a call."""
        if time.monotonic() - self._last_cut > SECONDS_BETWEEN_CUTS:
            self._last_cut = time.monotonic()
            self.allowed = max(1.0, self.allowed / 2)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds to wait that an error's headers name; None where they name none."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is None and (date := email.utils.parsedate_tz(text)):
        seconds = email.utils.mktime_tz(date) - now
    return None if seconds is None else max(0.0, seconds)


def pause_of(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until a server that announces its limits takes another call of so many tokens; 0: at once."""
    waits = [0.0]
    for kind, needed in (("requests", 1), ("tokens", tokens)):
        left = _number(headers.get(f"x-ratelimit-remaining-{kind}", ""))
        reset = _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        limit = _number(headers.get(f"x-ratelimit-limit-{kind}", ""))
        if left is not None and reset is not None and left < needed:
            # It fills up evenly, and is full at `reset`.
            missing = max(limit - left, 1.0) if limit else 1.0
            waits.append(reset * min(1.0, (needed - left) / missing) if limit else reset)
    return max(waits)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _duration(text: str) -> float | None:
    """Seconds in `1m30.5s`, `6ms` or `20`."""
    if (seconds := _number(text)) is not None:
        return seconds
    units = {"d": 86_400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"([\d.]+)(ms|[dhms])", text)
    return sum(float(value) * units[unit] for value, unit in parts) if parts else None
