"""One thread that scores what waits: pairs of several requests together, up to a number of tokens.

A few short documents leave a model's matrix products small, so requests of several clients share a call. A long
request is scored a part at a time, and those behind it have their turn between its parts: whoever asks for little
does not wait for all that others asked for.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from serving.checkpoints import Pair, Reranker

logger = logging.getLogger("uvicorn.error")


class ScoringEnded(RuntimeError):
    """The scorer ended before this request had its scores."""


class CannotScore(RuntimeError):
    """The checkpoint failed on this request; the message is its own, in one line."""


class Scored(NamedTuple):
    """`scores`: of the documents, in the order given. `num_tokens`: of query and documents, before any is cut."""

    scores: list[float]
    num_tokens: int


class Group(NamedTuple):
    """What was scored together, for the metrics."""

    num_requests: int
    num_pairs: int
    num_tokens: int
    seconds: float


@dataclass(eq=False)
class _Job:
    model: Reranker
    query: str
    documents: Sequence[str]
    done: "Future[Scored]" = field(default_factory=Future)
    scores: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    num_tokens: int = 0

    def count_tokens(self) -> None:
        """Set each pair's length, as the model reads it, and the request's number of tokens."""
        tokenizer = self.model.tokenizer
        texts = tokenizer([self.query, *self.documents], add_special_tokens=False, verbose=False)["input_ids"]
        of_query, *of_documents = map(len, texts)
        self.lengths = [min(of_query + length, tokenizer.model_max_length) for length in of_documents]
        self.num_tokens = of_query + sum(of_documents)

    def next_pairs(self, room: int) -> int:
        """How many of the pairs that are left fit into so many tokens."""
        count = 0
        for length in self.lengths[len(self.scores) :]:
            room -= length
            if room < 0:
                break
            count += 1
        return count

    def pairs(self, count: int) -> list[Pair]:
        start = len(self.scores)
        return [(self.query, document) for document in self.documents[start : start + count]]


class Scorer:
    """Scores requests of any of several checkpoints, in one thread of its own."""

    def __init__(self, group_tokens: int, observe: Callable[[Group], None] = lambda _: None) -> None:
        """`group_tokens`: at most so many are scored at once, or one pair. `observe`: told of each group."""
        self._group_tokens = group_tokens
        self._observe = observe
        self._arrived: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()  # the thread's own
        self._open: set[_Job] = set()
        self._lock = threading.Lock()
        self._ended = False
        # A daemon: a call that takes minutes does not keep the process from ending.
        threading.Thread(target=self._run, name="scorer", daemon=True).start()

    def submit(self, model: Reranker, query: str, documents: Sequence[str]) -> "Future[Scored]":
        """The scores of these documents, in time; a future that is cancelled is not scored any further.

        The future raises `CannotScore` where the checkpoint fails on them, `ScoringEnded` after `end`.
        """
        job = _Job(model, query, documents)
        with self._lock:
            if self._ended:
                job.done.set_exception(ScoringEnded())
                return job.done
            self._open.add(job)
        job.done.add_done_callback(lambda _: self._forget(job))
        self._arrived.put(job)
        return job.done

    def end(self) -> None:
        """Score nothing more; what has no scores yet raises `ScoringEnded`, at once."""
        with self._lock:
            self._ended = True
            left = list(self._open)
        for job in left:
            _fail(job, ScoringEnded())
        self._arrived.put(None)

    def _forget(self, job: _Job) -> None:
        with self._lock:
            self._open.discard(job)

    def _run(self) -> None:
        while not self._ended:
            self._take_arrived()
            if self._waiting:
                self._score(self._next_group())

    def _take_arrived(self) -> None:
        """Wait for a request where there is none; take all that are there."""
        try:
            while job := self._arrived.get(block=not self._waiting):
                try:
                    job.count_tokens()
                except Exception as error:
                    _report(job, error)
                else:
                    self._waiting.append(job)
        except queue.Empty:
            pass

    def _next_group(self) -> list[tuple[_Job, int]]:
        """Requests of one checkpoint and how many pairs of each; those that are not through go to the end."""
        chosen: list[tuple[_Job, int]] = []
        room = self._group_tokens
        model = self._waiting[0].model
        for job in list(self._waiting):
            if job.done.done():
                self._waiting.remove(job)
            elif job.model is model and (count := job.next_pairs(room) or (0 if chosen else 1)):
                room -= sum(job.lengths[len(job.scores) : len(job.scores) + count])
                chosen.append((job, count))
                self._waiting.remove(job)
        self._waiting.extend(job for job, count in chosen if len(job.scores) + count < len(job.documents))
        return chosen

    def _score(self, group: list[tuple[_Job, int]]) -> None:
        if not group:
            return
        started = time.perf_counter()
        model = group[0][0].model
        pairs = [pair for job, count in group for pair in job.pairs(count)]
        tokens = sum(sum(job.lengths[len(job.scores) :][:count]) for job, count in group)
        try:
            scores = model.score(pairs, show_progress_bar=False).tolist()
        except Exception as error:
            self._score_apart(group, error)
            return
        for job, count in group:
            job.scores += scores[:count]
            scores = scores[count:]
            if len(job.scores) == len(job.documents):
                _answer(job)
        self._observe(Group(len(group), len(pairs), tokens, time.perf_counter() - started))

    def _score_apart(self, group: list[tuple[_Job, int]], error: Exception) -> None:
        """One request's fault is not its neighbours'."""
        if len(group) == 1:
            _report(group[0][0], error)
            return
        for part in group:
            self._score([part])


def _answer(job: _Job) -> None:
    with suppress(InvalidStateError):  # its client has gone, or the scorer has ended
        job.done.set_result(Scored(job.scores, job.num_tokens))


def _report(job: _Job, error: Exception) -> None:
    logger.error("scoring failed", exc_info=error)
    lines = str(error).strip().splitlines()
    _fail(job, CannotScore(lines[0] if lines else type(error).__name__))


def _fail(job: _Job, error: Exception) -> None:
    with suppress(InvalidStateError):
        job.done.set_exception(error)
