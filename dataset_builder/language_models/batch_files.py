"""One task's files of requests for a batch API, how far each is, and what comes back."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message
from dataset_builder.language_models.completion import read_completion
from dataset_builder.language_models.dialect import ServerDialect
from dataset_builder.language_models.faults import ServerFault, fault_in

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large one batch may be, by OpenAI's limits. `queued_tokens`: how many tokens may wait in batches at once,
    and so in one; None for as many as there are."""

    requests: int = MAX_REQUESTS
    size: int = MAX_BYTES
    queued_tokens: int | None = None


# Only OpenAI's own.
NO_LIMITS = BatchLimits()


@dataclass(frozen=True, slots=True)
class Submission:
    """How far a file of requests is; the state file lists them.

    `submitting` is written before the batch is created: a restart then asks the server whether it was.
    """

    requests: str
    state: Literal["submitting", "submitted", "collected"]
    batch_id: str = ""


class BatchFiles:
    """The files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "batches.json"

    def batch(self, requests: str) -> str:
        """What the ledger calls the batch of a file of requests; with `""` how all of this folder begin."""
        return f"{self.folder.name}/{requests}"

    def write(self, requests: list[ChatRequest], dialect: ServerDialect) -> str:
        """Write a file, named by its contents, so that a batch of the very same requests is recognised after a
        restart."""
        contents = b"".join(_line(request, dialect) for request in requests)
        path = self.folder / f"{hashlib.sha256(contents).hexdigest()[:32]}.requests.jsonl"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(contents)
        os.replace(unfinished, path)
        return path.name

    def bodies(self, requests: str) -> dict[str, Mapping[str, object]]:
        """The body of each request of a file, by its key; none where the file is gone."""
        path = self.folder / requests
        rows = map(json.loads, path.read_bytes().splitlines()) if path.is_file() else ()
        return {row["custom_id"]: row["body"] for row in rows}

    def has_schema(self, requests: str) -> bool:
        """Whether the requests of a file demand a JSON schema; the first tells, as all of a build are alike."""
        path = self.folder / requests
        if not path.is_file():
            return False
        with path.open("rb") as lines:
            first = lines.readline()
        return bool(first) and "response_format" in json.loads(first)["body"]

    def note(self, submission: Submission) -> None:
        """Write the state file anew, aside and renamed, on the disk before we go on."""
        state = {**self.submissions(), submission.requests: submission}
        unfinished = self._state.with_suffix(".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump([asdict(each) for each in state.values()], file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self._state)

    def submissions(self) -> dict[str, Submission]:
        """The last state of every file of requests ever submitted, in order."""
        rows = json.loads(self._state.read_text()) if self._state.is_file() else []
        return {row["requests"]: Submission(**row) for row in rows}

    def outstanding(self) -> list[Submission]:
        """Those that are not collected."""
        return [each for each in self.submissions().values() if each.state != "collected"]


def shards(
    requests: Iterable[ChatRequest],
    dialect: ServerDialect,
    limits: BatchLimits,
    tokens_of: Callable[[ChatRequest], int],
) -> Iterator[list[ChatRequest]]:
    """`requests` in parts within the limits."""
    shard: list[ChatRequest] = []
    size = tokens = 0
    for request in requests:
        size += len(_line(request, dialect))
        tokens += tokens_of(request)
        too_many_tokens = limits.queued_tokens is not None and tokens > limits.queued_tokens
        if shard and (len(shard) == limits.requests or size > limits.size or too_many_tokens):
            yield shard
            shard, size, tokens = [], len(_line(request, dialect)), tokens_of(request)
        shard.append(request)
    if shard:
        yield shard


def read_result(
    line: str, bodies: Mapping[str, Mapping[str, object]]
) -> tuple[str, ChatAnswer | ServerFault]:
    """The key in one line of an output or error file, and the answer or what is at fault; key `""` where the line
    cannot be read."""
    try:
        row = json.loads(line)
        key, response = row["custom_id"], row.get("response") or {}
        if row.get("error"):
            return key, fault_in({"error": row["error"]})
        status, body = response.get("status_code", 200), response.get("body")
        if status >= 400:
            return key, fault_in(body, status)
        return key, read_completion(body, _request(bodies.get(key, {})))
    except ServerFault as fault:
        return key, fault
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ServerFault(f"unreadable line of an output file: {line}")


def _request(body: Mapping[str, object]) -> ChatRequest:
    """The request in a body, as far as its tokens are estimated by it."""
    messages = body.get("messages")
    shown = messages if isinstance(messages, list) else []
    return ChatRequest(str(body.get("model", "")), tuple(Message(**each) for each in shown))


def _line(request: ChatRequest, dialect: ServerDialect) -> bytes:
    body = dialect.body(request.payload())
    row = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
