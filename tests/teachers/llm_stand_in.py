"""What the stand-in for an OpenAI-compatible server answers, which faults it plays, and what it counts."""

import json
import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from tests.teachers.llm_answers import (
    FAULTS,
    completion,
    error_of,
    error_row,
    in_another_form,
    prompt_hash,
    rejected_row,
    request_key,
    sizes,
)

UNFINISHED = ("validating", "in_progress")


@dataclass
class StandIn:
    """What a server does and has counted.

    `script`: faults (or None) for the first calls, in order; `fault_rate`: share of the others that get
    one of `faults`, drawn from `seed`. `answered` counts complete answers by request body, `asked` all calls.
    `rejected_rate`: share of the prompts that are always answered by `rejection`, told by their texts. `context`:
    tokens of the longest prompt it takes. `refuses`: parameters that it does not take. `requests_per_minute`,
    `tokens_per_minute`: what it allows within `minute` seconds; calls beyond it get a 429. `lost_creations`: so many
    batches are created without an answer.
    """

    script: list = field(default_factory=list)
    fault_rate: float = 0.0
    faults: tuple = FAULTS
    seed: int = 0
    delay: float = 0.0
    hang: float = 5.0
    retry_after: str = "0.05"
    batch_polls: int = 1
    rejected_rate: float = 0.0
    rejection: str = "invalid_prompt"
    context: int = 0
    refuses: tuple = ()
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    minute: float = 60.0
    recent: deque = field(default_factory=deque)
    most_requests: int = 0
    most_tokens: int = 0
    most_queued: int = 0
    completed: Counter = field(default_factory=Counter)
    answered: Counter = field(default_factory=Counter)
    asked: Counter = field(default_factory=Counter)
    served: Counter = field(default_factory=Counter)
    concurrent: int = 0
    most_concurrent: int = 0
    batch_script: list = field(default_factory=list)
    lost_creations: int = 0
    files: dict = field(default_factory=dict)
    batches: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self):
        self.random = random.Random(self.seed)

    def next_fault(self):
        if self.script:
            return self.script.pop(0)
        return self.random.choice(self.faults) if self.random.random() < self.fault_rate else None

    def begin(self, body):
        with self.lock:
            self.concurrent += 1
            self.most_concurrent = max(self.most_concurrent, self.concurrent)
            key = request_key(body)
            self.asked[key] += 1
            fault = self.standing_fault(body, key) or self.next_fault()
            self.served[fault or "ok"] += 1
            return key, fault

    def standing_fault(self, body, key):
        """What this server makes of a request at any time; the rate is counted over all calls."""
        if self.count_rate(body):
            return "rate_limit"
        if any(name in body for name in self.refuses):
            return "refused_parameter"
        if self.context and sizes(body)[0] > self.context:
            return "too_long"
        return self.rejection if int(prompt_hash(body)[:8], 16) / 16**8 < self.rejected_rate else None

    def error(self, fault, body):
        return error_of(fault, body, self.refuses, self.context)

    def count_rate(self, body):
        """Whether a call is beyond the limits; one that is does not count."""
        now, tokens = time.monotonic(), sum(sizes(body))
        while self.recent and self.recent[0][0] <= now - self.minute:
            self.recent.popleft()
        requests, total = len(self.recent) + 1, sum(each for _, each in self.recent) + tokens
        self.most_requests, self.most_tokens = max(self.most_requests, requests), max(self.most_tokens, total)
        if 0 < self.requests_per_minute < requests or 0 < self.tokens_per_minute < total:
            return True
        self.recent.append((now, tokens))
        return False

    def complete(self, body, key):
        """An answer is sent in full, and paid."""
        with self.lock:
            self.answered[key] += 1
            for name, tokens in zip(("prompt_tokens", "completion_tokens"), sizes(body), strict=True):
                self.completed[name] += tokens

    def counts(self):
        return {
            "asked": sum(self.asked.values()),
            "answered": sum(self.answered.values()),
            "distinct_answered": len(self.answered),
            "served": dict(self.served),
            "most_concurrent": self.most_concurrent,
            "batches": len(self.batches),
            "most_requests_a_minute": self.most_requests,
            "most_tokens_a_minute": self.most_tokens,
            **self.completed,
        }

    def create_batch(self, wanted):
        batch_id = f"batch_{len(self.batches)}"
        batch = {
            "id": batch_id,
            "object": "batch",
            "endpoint": wanted["endpoint"],
            "completion_window": "24h",
            "created_at": 0,
            "input_file_id": wanted["input_file_id"],
            "metadata": wanted.get("metadata"),
            "status": "validating",
        }
        self.batches[batch_id] = {"batch": batch, "polls": 0}
        running = [each["batch"] for each in self.batches.values() if each["batch"]["status"] in UNFINISHED]
        queued = sum(len(self.files[each["input_file_id"]].splitlines()) for each in running)
        self.most_queued = max(self.most_queued, queued)
        return batch

    def poll_batch(self, batch_id):
        entry = self.batches[batch_id]
        entry["polls"] += 1
        batch = entry["batch"]
        if batch["status"] in UNFINISHED:
            batch["status"] = "in_progress"
            if entry["polls"] > self.batch_polls:
                self._run_batch(batch)
        return batch

    def _run_batch(self, batch):
        """Answer the requests in reverse order; the first `batch_script` entries make some fail."""
        outcome = self.batch_script.pop(0) if self.batch_script else "completed"
        batch["status"] = (
            "failed" if outcome == "failed" else "expired" if outcome == "expired" else "completed"
        )
        if outcome == "failed":
            batch["errors"] = {"object": "list", "data": [{"message": "token_limit_exceeded", "code": "x"}]}
            return
        rows = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        output, errors = [], []
        for place, row in enumerate(reversed(rows)):
            if outcome in ("half_errors", "expired") and place % 2:
                errors.append(error_row(row))
            elif fault := self.standing_fault(row["body"], request_key(row["body"])):
                self.asked[request_key(row["body"])] += 1
                errors.append(rejected_row(row, *self.error(fault, row["body"])))
            else:
                output.append(self._output_row(row))
        batch["request_counts"] = {"total": len(rows), "completed": len(output), "failed": len(errors)}
        for name, lines in (("output_file_id", output), ("error_file_id", errors)):
            if lines:
                batch[name] = self.add_file("\n".join(lines))

    def _output_row(self, row):
        key = request_key(row["body"])
        self.asked[key] += 1
        self.complete(row["body"], key)
        fault = self.next_fault()
        body = in_another_form(completion(row["body"], fault), fault)
        response = {"status_code": 200, "request_id": "r", "body": body}
        return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})

    def add_file(self, text):
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text
        return file_id
