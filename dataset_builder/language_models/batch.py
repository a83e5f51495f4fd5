"""A model behind OpenAI's Batch API: half the price, within 24 hours.

A request may depend on the answer to the one before, as a window's does, so that it takes rounds: each sends
the next request of every conversation that still has one. A round is found by replaying them against the
answer cache, which makes resuming and resubmitting one thing: what has no answer yet is asked for again.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import openai
from openai.types import Batch
from openai.types.chat import ChatCompletion
from pydantic import ValidationError
from tqdm import tqdm

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import Begin, Item, Items, LanguageModel, Result, replay
from dataset_builder.language_models.cost import Budget
from dataset_builder.language_models.openai_server import (
    CONTENT_FILTERS,
    OpenAIServer,
    chat_answer,
    input_error,
)
from retrieval.errors import InputError

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
FINISHED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large one batch may be; OpenAI's limits."""

    requests: int = MAX_REQUESTS
    size: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class Submission:
    """How far a file of requests is; the state file lists them.

    `submitting` is written before the batch is created: a restart then asks the server whether it was.
    """

    requests: str
    state: Literal["submitting", "submitted", "collected"]
    batch_id: str = ""


class BatchModel(LanguageModel):
    """Leads conversations in rounds of batches. `folder` holds one task's requests and state.

    `poll_seconds` lie between two looks at a batch; `sleep` waits for so many seconds.
    """

    def __init__(
        self,
        cache: AnswerCache,
        budget: Budget,
        server: OpenAIServer,
        folder: Path,
        poll_seconds: float = 60.0,
        limits: BatchLimits = BatchLimits(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(cache, budget)
        self.server = server
        self.folder = folder
        self.waiting = folder / "pools.jsonl"
        self._state = folder / "batches.json"
        self.poll_seconds = poll_seconds
        self.limits = limits
        self.sleep = sleep

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`. Yields once all rounds are done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.server.client() as client:
            try:
                self._rounds(client, items, begin)
            except openai.OpenAIError as error:
                raise input_error(error, self.server) from None
        for item in items():
            _, result = replay(begin(item), self.cache)
            if isinstance(result, ChatRequest):
                raise RuntimeError(f"a request has no answer after the last round: {result.key}")
            yield item, result

    def _rounds(self, client: openai.OpenAI, items: Items[Item], begin: Begin[Item, Result]) -> None:
        """Collect what an earlier run submitted; then submit and collect until nothing is missing."""
        self._collect(client)
        while files := self._write_requests(items, begin):
            for file in files:
                self._submit(client, file)
            answered = len(self.cache)
            faults = self._collect(client)
            if len(self.cache) == answered:
                raise InputError(
                    f"a whole round of {len(files)} batches brought no answer; "
                    f"the server says: {faults[0] if faults else 'nothing'}"
                )

    def _write_requests(self, items: Items[Item], begin: Begin[Item, Result]) -> list[Path]:
        """The next request of every unfinished conversation, in files within the limits.

        Raises:
            BudgetReached: where they would cost more than is left.
        """
        files: list[Path] = []
        planned = 0.0
        for shard in _shards(self._missing(items, begin), self.limits):
            files.append(self._write_file(shard))
            planned += sum(map(self._planned_cost, shard))
        if files:
            self.budget.check(planned)
        return files

    def _missing(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[ChatRequest]:
        seen: set[str] = set()
        for item in items():
            _, step = replay(begin(item), self.cache)
            if isinstance(step, ChatRequest) and step.key not in seen:
                seen.add(step.key)
                yield step

    def _planned_cost(self, request: ChatRequest) -> float:
        price = self.budget.price
        return 0.0 if price is None else price.cost(*request.estimated_tokens, batch=True)

    def _write_file(self, requests: list[ChatRequest]) -> Path:
        """Named by its contents, so that a batch of the very same requests is recognised after a restart."""
        contents = b"".join(map(_line, requests))
        path = self.folder / f"{hashlib.sha256(contents).hexdigest()[:32]}.requests.jsonl"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(contents)
        os.replace(unfinished, path)
        return path

    def _submit(self, client: openai.OpenAI, file: Path) -> None:
        self._note(Submission(file.name, "submitting"))
        uploaded = client.files.create(file=file, purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id,
            endpoint=ENDPOINT,
            completion_window="24h",
            metadata={"requests": file.name},
        )
        self._note(Submission(file.name, "submitted", batch.id))

    def _collect(self, client: openai.OpenAI) -> list[str]:
        """Wait for every submitted batch and store its answers; returns what the server found at fault."""
        faults: list[str] = []
        for submission in self._submissions().values():
            if submission.state == "collected":
                continue
            batch_id = submission.batch_id or _find_batch(client, submission.requests)
            if batch_id:
                batch = self._wait(client, batch_id)
                faults += self._store(client, batch)
            self._note(Submission(submission.requests, "collected", batch_id))
            (self.folder / submission.requests).unlink(missing_ok=True)
        return faults

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

    def _store(self, client: openai.OpenAI, batch: Batch) -> list[str]:
        faults = [error.message or "" for error in (batch.errors.data or [])] if batch.errors else []
        for file_id in (batch.output_file_id, batch.error_file_id):
            lines = client.files.content(file_id).iter_lines() if file_id else iter(())
            faults += [fault for line in lines if line.strip() and (fault := self._store_line(line))]
        return faults

    def _store_line(self, line: str) -> str:
        """Keep the answer in one line of an output or error file; returns what is at fault, "" if nothing."""
        try:
            row = json.loads(line)
            body = (row.get("response") or {}).get("body") or {}
            error = body.get("error") or row.get("error")
            if error and error.get("code") in CONTENT_FILTERS:
                answer = ChatAnswer("", refusal="declined by the server's content filter")
            elif error:
                return str(error.get("message", error))
            else:
                answer = chat_answer(ChatCompletion.model_validate(body))
        except (ValidationError, ValueError) as fault:
            return f"unreadable line of an output file: {fault}"
        if row["custom_id"] not in self.cache:  # it is where a kill interrupted us while we stored this file
            self.cache.put(row["custom_id"], self.budget.model, answer, batch=True)
        return ""

    def _note(self, submission: Submission) -> None:
        """Write the state file anew, aside and renamed, on the disk before we go on."""
        state = {**self._submissions(), submission.requests: submission}
        unfinished = self._state.with_suffix(".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump([asdict(each) for each in state.values()], file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self._state)

    def _submissions(self) -> dict[str, Submission]:
        """The last state of every file of requests ever submitted, in order."""
        rows = json.loads(self._state.read_text()) if self._state.is_file() else []
        return {row["requests"]: Submission(**row) for row in rows}


def _line(request: ChatRequest) -> bytes:
    row = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": request.payload()}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _shards(requests: Iterable[ChatRequest], limits: BatchLimits) -> Iterator[list[ChatRequest]]:
    shard: list[ChatRequest] = []
    size = 0
    for request in requests:
        length = len(_line(request))
        if shard and (len(shard) == limits.requests or size + length > limits.size):
            yield shard
            shard, size = [], 0
        shard.append(request)
        size += length
    if shard:
        yield shard


def _find_batch(client: openai.OpenAI, requests: str) -> str:
    """The batch made of this file, if it was created before we were killed; "" if not."""
    for batch in client.batches.list(limit=100):
        if (batch.metadata or {}).get("requests") == requests:
            return batch.id
    return ""
