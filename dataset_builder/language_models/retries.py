"""When a request that failed for now is asked again, and when no more: for tenacity."""

import time
from collections.abc import Callable

import tenacity

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.faults import Meaning, ServerFault

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 60.0
# A wait that the server names, and that did not help so often, is too short.
TRUSTED_WAITS = 3
# A server that is busy is given up when nobody was answered for so many seconds.
BUSY_PATIENCE = 300.0


def may_pass(fault: BaseException) -> bool:
    """Whether the same request may be answered later."""
    return isinstance(fault, ServerFault) and fault.meaning in (Meaning.BUSY, Meaning.TRANSIENT)


def seconds_to_wait(state: tenacity.RetryCallState) -> float:
    """As long as the server says; where it says nothing, or that did not help, longer each time."""
    fault = _fault(state)
    told = fault.retry_after if fault else None
    if told is not None and state.attempt_number <= TRUSTED_WAITS:
        return told
    own = tenacity.wait_random_exponential(multiplier=FIRST_BACKOFF, max=LONGEST_BACKOFF)(state)
    return max(told or 0.0, own)


def retrying(max_retries: int, sleep: Callable[[float], None] = time.sleep) -> tenacity.Retrying:
    """Calls a function again where its fault may pass; the last fault is raised."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        wait=seconds_to_wait,
        stop=tenacity.stop_after_attempt(max_retries + 1),
        sleep=sleep,
        reraise=True,
    )


class Hopeless(tenacity.stop.stop_base):
    """After so many retries; for a server that is busy, once nobody was answered for a while."""

    def __init__(self, max_retries: int, cache: AnswerCache) -> None:
        self._max_retries = max_retries
        self._cache = cache
        self._answers = len(cache)
        self._last_progress = time.monotonic()

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        if len(self._cache) > self._answers:
            self._answers, self._last_progress = len(self._cache), time.monotonic()
        fault = _fault(retry_state)
        if fault and fault.meaning is Meaning.BUSY:
            return time.monotonic() - self._last_progress > BUSY_PATIENCE
        return retry_state.attempt_number > self._max_retries


def _fault(state: tenacity.RetryCallState) -> ServerFault | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, ServerFault) else None
