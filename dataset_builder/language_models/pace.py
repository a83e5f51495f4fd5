"""How long conversations will still take, from the pace of this run's own calls."""

import time
from collections.abc import Callable


class Pace:
    """Counts requests and conversations as they are answered and end, not as they come out in order.

    A pool that is half asked counts as half; answers that were there before say how many calls a conversation takes,
    but nothing of how long a call does.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: float | None = None
        self._asked = 0
        self._bought = 0
        self._finished = 0
        self._calls_of_finished = 0

    def begin(self) -> None:
        """A request is sent."""
        if self._begun is None:
            self._begun = self._clock()

    def buy(self) -> None:
        """A request that was sent is answered."""
        self._bought += 1

    def ask(self) -> None:
        """A conversation got an answer, bought or known."""
        self._asked += 1

    def finish(self, calls: int) -> None:
        """A conversation ended that took so many calls."""
        self._finished += 1
        self._calls_of_finished += calls

    def seconds_left(self, total: int) -> float | None:
        """Seconds until `total` conversations have ended; None while nothing can be said."""
        if self._begun is None or not self._bought or not self._finished:
            return None
        calls = self._calls_of_finished / self._finished
        of_unfinished = self._asked - self._calls_of_finished
        left = max(0.0, (total - self._finished) * calls - of_unfinished)
        return (self._clock() - self._begun) / self._bought * left

    def describe(self, total: int) -> str:
        """The same in words; "" while nothing can be said."""
        seconds = self.seconds_left(total)
        if seconds is None:
            return ""
        minutes = round(seconds / 60)
        return (
            f"{minutes // 60} h {minutes % 60:02d} min left, "
            if minutes >= 60
            else f"{seconds / 60:.1f} min left, "
        )
