"""OpenAI's Batch API: a file of requests is uploaded, and the answers come back as one or two files."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import openai

from dataset_builder.language_models.batch_files import request_in
from dataset_builder.language_models.batch_provider import BatchLimits, BatchState, Bodies
from dataset_builder.language_models.chat import ChatAnswer
from dataset_builder.language_models.completion import read_completion
from dataset_builder.language_models.dialect import SPELLINGS, Spellings
from dataset_builder.language_models.faults import ServerFault, fault_in
from dataset_builder.language_models.openai_server import OpenAIServer

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
_OVER = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class OpenAIProvider:
    """The Batch API of a server that speaks OpenAI's protocol."""

    server: OpenAIServer
    limits: ClassVar[BatchLimits] = BatchLimits(requests=50_000, size=200_000_000)
    spellings: ClassVar[Spellings] = SPELLINGS

    @property
    def name(self) -> str:
        """See `Server`."""
        return self.server.name

    @property
    def key_variable(self) -> str:
        """See `Server`."""
        return self.server.key_variable

    @property
    def max_retries(self) -> int:
        """See `Server`."""
        return self.server.max_retries

    def check(self) -> None:
        """See `BatchProvider`."""
        self.server.check()

    @contextmanager
    def batches(self) -> Iterator["OpenAIBatches"]:
        """See `BatchProvider`."""
        with self.server.client() as client:
            yield OpenAIBatches(client)


class OpenAIBatches:
    """See `Batches`. A batch carries its name as metadata."""

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client

    def mark(self) -> str:
        """See `Batches`."""
        return ""

    def create(self, file: Path, bodies: Bodies) -> str:
        """See `Batches`."""
        with _faults():
            uploaded = self._client.files.create(file=file, purpose="batch")
            once = self._client.with_options(max_retries=0)
            batch = once.batches.create(
                input_file_id=uploaded.id,
                endpoint=ENDPOINT,
                completion_window="24h",
                metadata={"requests": file.name},
            )
        return batch.id

    def find(self, name: str, bodies: Bodies, mark: str, wait: Callable[[str], BatchState]) -> str:
        """See `Batches`."""
        with _faults():
            for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get("requests") == name:
                    return batch.id
        return ""

    def state(self, batch_id: str) -> BatchState:
        """See `Batches`."""
        with _faults():
            batch = self._client.batches.retrieve(batch_id)
        counts = batch.request_counts
        errors = (batch.errors.data or []) if batch.errors else []
        return BatchState(
            batch.id,
            batch.status,
            batch.status in _OVER,
            counts.completed if counts else None,
            counts.total if counts else None,
            tuple(error.message for error in errors if error.message),
        )

    def results(self, batch_id: str, bodies: Bodies) -> Iterator[tuple[str, ChatAnswer | ServerFault]]:
        """See `Batches`."""
        with _faults():
            batch = self._client.batches.retrieve(batch_id)
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            with _faults():
                contents = self._client.files.content(file_id).content
            # Not splitlines(): JSON may hold other ends of lines than \n.
            for line in filter(bytes.strip, contents.split(b"\n")):
                yield _read(line, bodies)


def _read(line: bytes, bodies: Bodies) -> tuple[str, ChatAnswer | ServerFault]:
    """What one line of an output or error file says."""
    try:
        row = json.loads(line)
        key, response = row["custom_id"], row.get("response") or {}
        if row.get("error"):
            return key, fault_in({"error": row["error"]})
        status, body = response.get("status_code", 200), response.get("body")
        if status >= 400:
            return key, fault_in(body, status)
        return key, read_completion(body, request_in(bodies.get(key, {})))
    except ServerFault as fault:
        return key, fault
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ServerFault(f"unreadable line of an output file: {line.decode(errors='replace')}")


@contextmanager
def _faults() -> Iterator[None]:
    """The client's errors as ours."""
    try:
        yield
    except openai.APIStatusError as error:
        raise fault_in(error.body, error.status_code) from None
    except openai.OpenAIError as error:
        raise ServerFault(str(error)) from None
