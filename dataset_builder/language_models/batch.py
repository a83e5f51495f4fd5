"""A model asked in batches, of whichever provider: half the price, within 24 hours.

A request may depend on the answer to the one before, as a window's does, so that it takes rounds: each sends
the next request of every conversation that still has one. A round is found by replaying them against the
answer cache, which makes resuming and resubmitting one thing: what has no answer yet is asked for again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.batch_files import BatchFiles, Submission, shards
from dataset_builder.language_models.batch_provider import (
    Batches,
    BatchLimits,
    BatchProvider,
    BatchState,
    Bodies,
)
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome
from dataset_builder.language_models.completion import outcome_of
from dataset_builder.language_models.conversation import Begin, Item, Items, LanguageModel, Result, replay
from dataset_builder.language_models.dialect import ServerDialect
from dataset_builder.language_models.faults import Meaning, ServerFault, fatal_error
from dataset_builder.language_models.retries import retrying
from dataset_builder.language_models.tally import Tally
from retrieval.errors import InputError

# A request that failed in so many batches is given up.
BATCHES_A_REQUEST = 3


@dataclass(slots=True)
class _Round:
    """What a round brought: whether anything is known now that was not before, and the server's last complaint."""

    progress: bool = False
    words: str = "nothing"
    fatal: ServerFault | None = None


class BatchModel(LanguageModel):
    """Leads conversations in rounds of batches. `folder` holds one task's requests and state.

    `poll_seconds` lie between two looks at a batch; `limits` are the provider's unless others are given; `sleep` waits
    for so many seconds. `earlier`: folders of tasks that are no more, whose batches are collected first.
    """

    def __init__(
        self,
        cache: AnswerCache,
        budget: Budget,
        provider: BatchProvider,
        folder: Path,
        poll_seconds: float = 60.0,
        limits: BatchLimits | None = None,
        sleep: Callable[[float], None] = time.sleep,
        earlier: Sequence[Path] = (),
    ) -> None:
        super().__init__(cache, budget)
        self.provider = provider
        self.waiting = folder / "pools.jsonl"
        self.poll_seconds = poll_seconds
        self.limits = limits or provider.limits
        self.sleep = sleep
        self._files = BatchFiles(folder)
        self._earlier = [
            BatchModel(cache, budget, provider, other, poll_seconds, limits, sleep) for other in earlier
        ]
        self._dialect = ServerDialect(budget.ledger, provider.name, budget.model, provider.spellings)
        self._tally = Tally(provider.name)
        self._failures: Counter[str] = Counter()

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`. Yields once all rounds are done."""
        self._files.folder.mkdir(parents=True, exist_ok=True)
        with self.provider.batches() as batches:
            try:
                self._rounds(batches, items, begin)
            except ServerFault as fault:
                raise fatal_error(fault, self.provider) from None
        for item in items():
            exchanges, result = replay(begin(item), self.cache)
            if isinstance(result, ChatRequest):
                raise RuntimeError(f"a request has no answer after the last round: {result.key}")
            for exchange in exchanges:
                self.budget.use(exchange.request, exchange.answer, batch=True)
            yield item, result
        self.budget.note_uses()

    def _rounds(self, batches: Batches, items: Items[Item], begin: Begin[Item, Result]) -> None:
        """Collect what an earlier run submitted; then submit and collect until nothing is missing."""
        for task in self._earlier:
            # Each task of this run comes by here; the first one collects.
            with FileLock(task._files.folder / "lock"):
                task._collect_earlier(batches)
        self._collect_earlier(batches)
        while files := self._write_requests(items, begin):
            this = _Round()
            for file in files:
                self._submit(batches, file, this)
            self._collect_all(batches, this)
            if not this.progress:
                raise InputError(
                    f"a whole round of {len(files)} batches brought no answer; the server says: {this.words}"
                )

    def _collect_earlier(self, batches: Batches) -> None:
        self._collect_all(batches, _Round())
        self.budget.ledger.forget_unsent(self._files.batch(""))

    def _write_requests(self, items: Items[Item], begin: Begin[Item, Result]) -> list[str]:
        """The next request of every unfinished conversation, in files within the limits, their cost reserved.

        Raises:
            BudgetReached: where they would cost more than is left.
        """
        files: list[str] = []
        calls = []
        for shard in shards(self._missing(items, begin), self._dialect, self.limits, self._tokens):
            files.append(self._files.write(shard, self._dialect))
            batch = self._files.batch(files[-1])
            calls += [self.budget.planned(self.provider.name, request, batch) for request in shard]
        if calls:
            self.budget.reserve(calls)
        return files

    def _missing(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[ChatRequest]:
        seen: set[str] = set()
        for item in items():
            _, step = replay(begin(item), self.cache)
            if isinstance(step, ChatRequest) and step.key not in seen:
                seen.add(step.key)
                yield step

    def _tokens(self, request: ChatRequest) -> int:
        return self.budget.planned(self.provider.name, request).tokens

    def _submit(self, batches: Batches, file: str, this: _Round) -> None:
        while not self.budget.ledger.queue(self._files.batch(file), self.limits.queued_tokens, time.time()):
            waiting = self._files.outstanding()
            if waiting:
                self._collect(batches, waiting[0], this)
            else:  # other tasks' batches
                self.sleep(self.poll_seconds)
        submission = Submission(file, "submitting", mark=batches.mark())
        self._files.note(submission)
        self._files.note(replace(submission, state="submitted", batch_id=self._create(batches, submission)))

    def _create(self, batches: Batches, submission: Submission) -> str:
        """Create a batch. Where no answer came, it may be there all the same: it is looked for before it is created
        once more."""
        file, bodies = self._files.folder / submission.requests, self._files.bodies(submission.requests)
        tries = count()

        def create() -> str:
            known = next(tries) and self._find(batches, submission, bodies)
            return known or batches.create(file, bodies)

        return retrying(self.provider.max_retries, self.sleep)(create)

    def _find(self, batches: Batches, submission: Submission, bodies: Bodies) -> str:
        return batches.find(submission.requests, bodies, submission.mark, partial(self._wait, batches))

    def _collect_all(self, batches: Batches, this: _Round) -> None:
        """Wait for every submitted batch and store its answers.

        Raises:
            InputError: where no request is answered, or most are rejected; after the answers are stored.
        """
        for submission in self._files.outstanding():
            self._collect(batches, submission, this)
        if this.fatal is not None:
            raise fatal_error(this.fatal, self.provider)

    def _collect(self, batches: Batches, submission: Submission, this: _Round) -> None:
        file = submission.requests
        bodies = self._files.bodies(file)
        rejected: list[ChatAnswer] = []
        batch_id = submission.batch_id or self._find(batches, submission, bodies)
        if batch_id:
            this.words = next(reversed(self._wait(batches, batch_id).complaints), this.words)
            rejected = self._store(batches.results(batch_id, bodies), bodies, file, this)
        has_schema = self._files.has_schema(file)
        self._files.note(replace(submission, state="collected", batch_id=batch_id))
        self.budget.ledger.drop([self._files.batch(file)])
        (self._files.folder / file).unlink(missing_ok=True)
        for answer in rejected:
            self._tally.reject(answer, has_schema)

    def _wait(self, batches: Batches, batch_id: str) -> BatchState:
        with tqdm(desc=f"batch {batch_id}", unit="answer") as progress:
            while True:
                state = batches.state(batch_id)
                if state.total is not None:
                    progress.total, progress.n = state.total, state.answered or 0
                progress.set_postfix_str(f"{state.status}, {self.budget}")
                if state.is_over:
                    return state
                self.sleep(self.poll_seconds)

    def _store(
        self,
        results: Iterator[tuple[str, ChatAnswer | ServerFault]],
        bodies: Bodies,
        file: str,
        this: _Round,
    ) -> list[ChatAnswer]:
        """Keep what a batch brought; returns the rejections among it."""
        for _ in bodies:
            self._tally.begin()
        answers = [self._store_one(key, found, bodies, file, this) for key, found in results]
        return [each for each in answers if each is not None and each.outcome is Outcome.REJECTED]

    def _store_one(
        self, key: str, found: ChatAnswer | ServerFault, bodies: Bodies, file: str, this: _Round
    ) -> ChatAnswer | None:
        """Keep the outcome of one request; None where it has none yet."""
        answer = found if isinstance(found, ChatAnswer) else self._outcome(key, found, bodies, this)
        if answer is None:
            return None
        this.progress = True
        known = key in self.cache  # it is where a kill interrupted us while we stored this file
        if not known:
            self.cache.put(key, self.budget.model, answer, batch=True)
        if isinstance(found, ChatAnswer):
            self._dialect.taken = True
            self.budget.settle_in_batch(self._files.batch(file), key, answer, known)
        return answer

    def _outcome(self, key: str, fault: ServerFault, bodies: Bodies, this: _Round) -> ChatAnswer | None:
        """What a fault makes of its request; None where it is asked again."""
        this.words = fault.words
        if not key or self._dialect.learn(fault, bodies.get(key, {})):
            this.progress |= bool(key)
            return None
        if fault.meaning is Meaning.FATAL:
            this.fatal = fault
            return None
        answer = outcome_of(fault)
        if answer is None and "batch_expired" not in fault.codes:
            self._failures[key] += 1
            if self._failures[key] < BATCHES_A_REQUEST:
                this.progress = True
            elif self.budget.ledger.bought(self.budget.model):
                answer = ChatAnswer("", rejection=f"failed {BATCHES_A_REQUEST} times: {fault.words}")
        return answer
