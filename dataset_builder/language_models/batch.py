"""A model behind OpenAI's Batch API: half the price, within 24 hours.

A request may depend on the answer to the one before, as a window's does, so that it takes rounds: each sends
the next request of every conversation that still has one. A round is found by replaying them against the
answer cache, which makes resuming and resubmitting one thing: what has no answer yet is asked for again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import openai
from filelock import FileLock
from openai.types import Batch
from tqdm import tqdm

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.batch_files import (
    ENDPOINT,
    NO_LIMITS,
    BatchFiles,
    BatchLimits,
    Submission,
    read_result,
    shards,
)
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome
from dataset_builder.language_models.completion import outcome_of
from dataset_builder.language_models.conversation import Begin, Item, Items, LanguageModel, Result, replay
from dataset_builder.language_models.dialect import ServerDialect
from dataset_builder.language_models.faults import Meaning, ServerFault, fault_in
from dataset_builder.language_models.openai_server import OpenAIServer, fatal_error
from dataset_builder.language_models.tally import Tally
from retrieval.errors import InputError

FINISHED = ("completed", "failed", "expired", "cancelled")
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

    `poll_seconds` lie between two looks at a batch; `sleep` waits for so many seconds. `earlier`: folders of tasks that
    are no more, whose batches are collected first.
    """

    def __init__(
        self,
        cache: AnswerCache,
        budget: Budget,
        server: OpenAIServer,
        folder: Path,
        poll_seconds: float = 60.0,
        limits: BatchLimits = NO_LIMITS,
        sleep: Callable[[float], None] = time.sleep,
        earlier: Sequence[Path] = (),
    ) -> None:
        super().__init__(cache, budget)
        self.server = server
        self.waiting = folder / "pools.jsonl"
        self.poll_seconds = poll_seconds
        self.limits = limits
        self.sleep = sleep
        self._files = BatchFiles(folder)
        self._earlier = [
            BatchModel(cache, budget, server, other, poll_seconds, limits, sleep) for other in earlier
        ]
        self._dialect = ServerDialect(budget.ledger, server.name, budget.model)
        self._tally = Tally(server.name)
        self._failures: Counter[str] = Counter()

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`. Yields once all rounds are done."""
        self._files.folder.mkdir(parents=True, exist_ok=True)
        with self.server.client() as client:
            try:
                self._rounds(client, items, begin)
            except openai.APIStatusError as error:
                raise fatal_error(fault_in(error.body, error.status_code), self.server) from None
            except openai.OpenAIError as error:
                raise fatal_error(ServerFault(str(error)), self.server) from None
        for item in items():
            exchanges, result = replay(begin(item), self.cache)
            if isinstance(result, ChatRequest):
                raise RuntimeError(f"a request has no answer after the last round: {result.key}")
            for exchange in exchanges:
                self.budget.use(exchange.request, exchange.answer, batch=True)
            yield item, result
        self.budget.note_uses()

    def _rounds(self, client: openai.OpenAI, items: Items[Item], begin: Begin[Item, Result]) -> None:
        """Collect what an earlier run submitted; then submit and collect until nothing is missing."""
        for task in self._earlier:
            # Each task of this run comes by here; the first one collects.
            with FileLock(task._files.folder / "lock"):
                task._collect_earlier(client)
        self._collect_earlier(client)
        while files := self._write_requests(items, begin):
            this = _Round()
            for file in files:
                self._submit(client, file, this)
            self._collect_all(client, this)
            if not this.progress:
                raise InputError(
                    f"a whole round of {len(files)} batches brought no answer; the server says: {this.words}"
                )

    def _collect_earlier(self, client: openai.OpenAI) -> None:
        self._collect_all(client, _Round())
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
            calls += [self.budget.planned(self.server.name, request, batch) for request in shard]
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
        return self.budget.planned(self.server.name, request).tokens

    def _submit(self, client: openai.OpenAI, file: str, this: _Round) -> None:
        while not self.budget.ledger.queue(self._files.batch(file), self.limits.queued_tokens, time.time()):
            waiting = self._files.outstanding()
            if waiting:
                self._collect(client, waiting[0], this)
            else:  # other tasks' batches
                self.sleep(self.poll_seconds)
        self._files.note(Submission(file, "submitting"))
        uploaded = client.files.create(file=self._files.folder / file, purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id,
            endpoint=ENDPOINT,
            completion_window="24h",
            metadata={"requests": file},
        )
        self._files.note(Submission(file, "submitted", batch.id))

    def _collect_all(self, client: openai.OpenAI, this: _Round) -> None:
        """Wait for every submitted batch and store its answers.

        Raises:
            InputError: where no request is answered, or most are rejected; after the answers are stored.
        """
        for submission in self._files.outstanding():
            self._collect(client, submission, this)
        if this.fatal is not None:
            raise fatal_error(this.fatal, self.server)

    def _collect(self, client: openai.OpenAI, submission: Submission, this: _Round) -> None:
        file = submission.requests
        rejected: list[ChatAnswer] = []
        batch_id = submission.batch_id or _find_batch(client, file)
        if batch_id:
            rejected = self._store(client, self._wait(client, batch_id), file, this)
        has_schema = self._files.has_schema(file)
        self._files.note(Submission(file, "collected", batch_id))
        self.budget.ledger.drop([self._files.batch(file)])
        (self._files.folder / file).unlink(missing_ok=True)
        for answer in rejected:
            self._tally.reject(answer, has_schema)

    def _wait(self, client: openai.OpenAI, batch_id: str) -> Batch:
        with tqdm(desc=f"batch {batch_id}", unit="answer") as progress:
            while True:
                batch = client.batches.retrieve(batch_id)
                if batch.request_counts:
                    progress.total = batch.request_counts.total
                    progress.n = batch.request_counts.completed
                progress.set_postfix_str(f"{batch.status}, {self.budget}")
                if batch.status in FINISHED:
                    return batch
                self.sleep(self.poll_seconds)

    def _store(self, client: openai.OpenAI, batch: Batch, file: str, this: _Round) -> list[ChatAnswer]:
        """Keep what a batch brought; returns the rejections among it."""
        for error in (batch.errors.data or []) if batch.errors else ():
            this.words = error.message or this.words
        bodies = self._files.bodies(file)
        for _ in bodies:
            self._tally.begin()
        rejected: list[ChatAnswer] = []
        for file_id in (batch.output_file_id, batch.error_file_id):
            lines = client.files.content(file_id).iter_lines() if file_id else iter(())
            for line in filter(str.strip, lines):
                answer = self._store_line(line, bodies, file, this)
                if answer is not None and answer.outcome is Outcome.REJECTED:
                    rejected.append(answer)
        return rejected

    def _store_line(
        self, line: str, bodies: Mapping[str, Mapping[str, object]], file: str, this: _Round
    ) -> ChatAnswer | None:
        """Keep the outcome in one line of an output or error file; None where it has none yet."""
        key, found = read_result(line, bodies)
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

    def _outcome(
        self, key: str, fault: ServerFault, bodies: Mapping[str, Mapping[str, object]], this: _Round
    ) -> ChatAnswer | None:
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


def _find_batch(client: openai.OpenAI, requests: str) -> str:
    """The batch made of this file, if it was created before we were killed; "" if not."""
    for batch in client.batches.list(limit=100):
        if (batch.metadata or {}).get("requests") == requests:
            return batch.id
    return ""
