"""Anthropic's Message Batches, through its official client: requests in, a file of messages out."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import httpx2

from dataset_builder.language_models.api_key import check_key, check_package, read_key
from dataset_builder.language_models.batch_files import request_in
from dataset_builder.language_models.batch_provider import BatchLimits, BatchState, Bodies
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.dialect import OMITTED, Spellings
from dataset_builder.language_models.faults import ANTHROPIC_KEY_VARIABLE, ServerFault, fault_in
from dataset_builder.language_models.text_length import estimated_tokens
from dataset_builder.language_models.untrusted import count_of, object_of, string_of, text_of
from dataset_builder.teacher_name import ANTHROPIC

if TYPE_CHECKING:
    import anthropic

PREFIX = f"{ANTHROPIC}/"
ADDRESS_VARIABLE = "ANTHROPIC_BASE_URL"
# Anthropic has no default: room for an answer, beside what the model may think.
MAX_TOKENS = 4096
_PROMPT_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


@dataclass(frozen=True, slots=True)
class AnthropicProvider:
    """Where the batches go; see `BatchProvider` and `OpenAIServer`."""

    timeout: float = 120.0
    max_retries: int = 8
    key_variable: ClassVar[str] = ANTHROPIC_KEY_VARIABLE
    limits: ClassVar[BatchLimits] = BatchLimits(requests=100_000, size=256_000_000)
    spellings: ClassVar[Spellings] = {
        "temperature": ("temperature", OMITTED),
        "max_completion_tokens": ("max_tokens",),
        "seed": (OMITTED,),
        "reasoning_effort": ("effort", OMITTED),
        "thinking_budget": ("thinking", OMITTED),
    }

    @property
    def name(self) -> str:
        """See `Server`."""
        return os.environ.get(ADDRESS_VARIABLE) or "Anthropic"

    def check(self) -> None:
        """See `BatchProvider`."""
        check_package("anthropic", "anthropic", f"batch:{PREFIX}MODEL")
        check_key((self.key_variable,))

    @contextmanager
    def batches(self) -> Iterator["AnthropicBatches"]:
        """See `BatchProvider`."""
        self.check()
        import anthropic

        with anthropic.Anthropic(
            api_key=read_key((self.key_variable,)), timeout=self.timeout, max_retries=self.max_retries
        ) as client:
            yield AnthropicBatches(client)


class AnthropicBatches:
    """See `Batches`. A batch has no name: it is known by the keys of its requests, which are read once it is over."""

    def __init__(self, client: "anthropic.Anthropic") -> None:
        self._client = client

    def mark(self) -> str:
        """The id of the newest batch."""
        with _faults():
            return next((batch.id for batch in self._client.messages.batches.list(limit=1)), "")

    def create(self, file: Path, bodies: Bodies) -> str:
        """See `Batches`."""
        requests = [{"custom_id": key, "params": message_params(body)} for key, body in bodies.items()]
        with _faults():
            once = self._client.with_options(max_retries=0)
            return once.messages.batches.create(requests=requests).id  # type: ignore[arg-type]

    def find(self, name: str, bodies: Bodies, mark: str, wait: Callable[[str], BatchState]) -> str:
        """See `Batches`. Only batches of as many requests are waited for."""
        alike: list[str] = []
        with _faults():
            for batch in self._client.messages.batches.list(limit=100):
                if batch.id == mark:
                    break
                if batch.archived_at is None and _total(batch) == len(bodies):
                    alike.append(batch.id)
        return next((each for each in alike if wait(each).is_over and self._holds(each, bodies)), "")

    def _holds(self, batch_id: str, bodies: Bodies) -> bool:
        return any(key in bodies for key, _ in self.results(batch_id, bodies))

    def state(self, batch_id: str) -> BatchState:
        """See `Batches`."""
        with _faults():
            batch = self._client.messages.batches.retrieve(batch_id)
        status = batch.processing_status
        return BatchState(
            batch.id, status, status == "ended", batch.request_counts.succeeded, total=_total(batch)
        )

    def results(self, batch_id: str, bodies: Bodies) -> Iterator[tuple[str, ChatAnswer | ServerFault]]:
        """See `Batches`. The whole file is read at once, so that the client retries a connection that was lost."""
        with _faults():
            path = f"/v1/messages/batches/{batch_id}/results"
            contents = self._client.get(path, cast_to=httpx2.Response).content
        for line in filter(bytes.strip, contents.split(b"\n")):
            yield _read(line, bodies)


def message_params(body: Mapping[str, object]) -> dict[str, object]:
    """A body of a file of requests as the parameters of a message: the system's text stands apart, and `max_tokens`
    is required."""
    request = request_in(body)
    params = {name: body[name] for name in ("temperature", "max_tokens", "thinking") if name in body}
    params["model"] = request.model.removeprefix(PREFIX)
    budget = count_of(object_of(body.get("thinking")).get("budget_tokens"), 0)
    params.setdefault("max_tokens", MAX_TOKENS + budget)
    system = [message.content for message in request.messages if message.role == "system"]
    if system:
        params["system"] = "\n\n".join(system)
    params["messages"] = [
        {"role": message.role, "content": message.content}
        for message in request.messages
        if message.role != "system"
    ]
    output: dict[str, object] = {"effort": body["effort"]} if "effort" in body else {}
    if "response_format" in body:
        schema = object_of(object_of(body["response_format"]).get("json_schema")).get("schema")
        output["format"] = {"type": "json_schema", "schema": schema}
    return {**params, "output_config": output} if output else params


def read_message(message: object, request: ChatRequest) -> ChatAnswer:
    """The parts of a message that we keep; tokens that are not counted are estimated.

    Raises:
        ServerFault: where it is no message.
    """
    content = object_of(message).get("content")
    if not isinstance(content, list):
        words = json.dumps(message, ensure_ascii=False)
        raise ServerFault(f"no message but: {words}", may_be_paid=True)
    fields, text = object_of(message), text_of(content)
    usage, stop = object_of(fields.get("usage")), string_of(fields.get("stop_reason"))
    refusal = ""
    if stop == "refusal":
        refusal = string_of(object_of(fields.get("stop_details")).get("explanation")) or "declined"
    read = sum(count_of(usage.get(name), 0) for name in _PROMPT_TOKENS)
    return ChatAnswer(
        text,
        refusal,
        _FINISH_REASONS.get(stop, stop),
        read or request.estimated_tokens[0],
        count_of(usage.get("output_tokens"), estimated_tokens(text or refusal) + 1),
    )


def _read(line: bytes, bodies: Bodies) -> tuple[str, ChatAnswer | ServerFault]:
    """What one line of a file of results says."""
    try:
        row = json.loads(line)
        key, result = string_of(row["custom_id"]), row["result"]
        kind = result["type"]
        if kind == "succeeded":
            return key, read_message(result.get("message"), request_in(bodies.get(key, {})))
        if kind == "errored":
            return key, fault_in(result.get("error"))
        words = f"the batch was {kind} before this request was answered"
        return key, ServerFault(words, codes=frozenset({"batch_expired"}))
    except ServerFault as fault:
        return key, fault
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ServerFault(f"unreadable line of a file of results: {line.decode(errors='replace')}")


def _total(batch: "anthropic.types.messages.MessageBatch") -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired


@contextmanager
def _faults() -> Iterator[None]:
    """The client's errors as ours."""
    import anthropic

    try:
        yield
    except anthropic.APIStatusError as error:
        raise fault_in(error.body, error.status_code) from None
    except anthropic.AnthropicError as error:
        raise ServerFault(str(error)) from None
