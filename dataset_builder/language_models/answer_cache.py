"""Every paid answer, on disk before it counts: no answer is paid twice, whatever dies or runs again.

A folder of append-only JSONL files, one for each process that ever wrote: nothing is locked, so that it
works for many processes on one machine or on many over a shared file system. A line is flushed to the disk
(fsync) before its answer is used. A line that a kill cut off is skipped: its answer never counted. A line that
cannot be read is set aside: counted, named, left where it is, and its request asked again.
"""

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pydantic import TypeAdapter, ValidationError

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome

SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(slots=True)
class TokensPaid:
    """What all answers of one model, bought one way, amount to."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Purchase:
    """What a line holds beside the answer."""

    key: str
    model: str
    batch: bool


_PURCHASE, _ANSWER = TypeAdapter(_Purchase), TypeAdapter(ChatAnswer)


class AnswerCache:
    """Answers by `ChatRequest.key`. Also sees what other processes add, at most a second later.

    `paid` counts all answers of the folder, of this and earlier runs, by (model, whether bought in a batch);
    `unreadable` says where lines were set aside. Use it as a context manager, or `close` it.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder = folder
        self.paid: dict[tuple[str, bool], TokensPaid] = {}
        self.unreadable: list[str] = []
        self._answers: dict[str, ChatAnswer] = {}
        self._read_up_to: dict[Path, int] = {}
        self._own: BinaryIO | None = None
        self._own_path = folder / f"{uuid.uuid4().hex}.jsonl"
        self._clock = clock
        self._last_look = float("-inf")
        self.look()

    def __len__(self) -> int:
        """How many answers there are; rejections are none."""
        return sum(paid.answers for paid in self.paid.values())

    def __contains__(self, key: str) -> bool:
        return key in self._answers

    def get(self, request: ChatRequest) -> ChatAnswer | None:
        """The answer to `request`, if it was ever paid for; or its rejection, which costs nothing."""
        return self._answers.get(request.key)

    def at(self, key: str) -> ChatAnswer:
        """The answer at a key that is there."""
        return self._answers[key]

    def put(self, key: str, model: str, answer: ChatAnswer, batch: bool = False) -> None:
        """Store a paid answer; returns once it is on the disk. The first answer to a key stays; a rejection only
        until there is one."""
        if self._own is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._own = self._own_path.open("ab")
        row = {"key": key, "model": model, "batch": batch, **asdict(answer)}
        self._own.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._own.flush()
        os.fsync(self._own.fileno())
        self._count(key, model, batch, answer)

    def look(self, at_once: bool = False) -> None:
        """Take in what other processes wrote; unless `at_once`, not if this was done less than a second ago."""
        if not at_once and self._clock() - self._last_look < SECONDS_BETWEEN_LOOKS:
            return
        self._last_look = self._clock()
        for path in sorted(self.folder.glob("*.jsonl")):
            if path != self._own_path and path.stat().st_size > self._read_up_to.get(path, 0):
                self._read(path)

    def close(self) -> None:
        """Close this process's file."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, path: Path) -> None:
        with path.open("rb") as file:
            file.seek(self._read_up_to.get(path, 0))
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._read_up_to[path] = self._read_up_to.get(path, 0) + len(line)
                try:
                    purchase = _PURCHASE.validate_json(line, strict=True)
                    answer = _ANSWER.validate_json(line, strict=True)
                except ValidationError:
                    self.unreadable.append(f"{path} at byte {self._read_up_to[path] - len(line)}")
                else:
                    self._count(purchase.key, purchase.model, purchase.batch, answer)

    def _count(self, key: str, model: str, batch: bool, answer: ChatAnswer) -> None:
        known = self._answers.get(key)
        if known is None or known.outcome is Outcome.REJECTED:
            self._answers[key] = answer
        if answer.outcome is Outcome.REJECTED:
            return
        paid = self.paid.setdefault((model, batch), TokensPaid())
        paid.answers += 1
        paid.prompt_tokens += answer.prompt_tokens
        paid.completion_tokens += answer.completion_tokens
