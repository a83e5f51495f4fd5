"""One task's files of requests for batches, and how far each is."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from dataset_builder.language_models.batch_provider import BatchLimits
from dataset_builder.language_models.chat import ChatRequest, Message
from dataset_builder.language_models.dialect import ServerDialect

# Files hold requests as OpenAI takes them, whoever the provider is.
_URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Submission:
    """How far a file of requests is; the state file lists them.

    `submitting` is written before the batch is created: a restart then asks the server whether it was. `mark`: what
    the server needs to tell; see `Batches.mark`.
    """

    requests: str
    state: Literal["submitting", "submitted", "collected"]
    batch_id: str = ""
    mark: str = ""


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


def request_in(body: Mapping[str, object]) -> ChatRequest:
    """The model and messages of a body in a file of requests."""
    messages = body.get("messages")
    shown = messages if isinstance(messages, list) else []
    return ChatRequest(str(body.get("model", "")), tuple(Message(**each) for each in shown))


def _line(request: ChatRequest, dialect: ServerDialect) -> bytes:
    body = dialect.body(request.payload())
    row = {"custom_id": request.key, "method": "POST", "url": _URL, "body": body}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
