"""Google's batch mode of Gemini, through its official client: a file of requests in, a file of responses out."""

import json
import os
import tempfile
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
from dataset_builder.language_models.faults import GOOGLE_KEY_VARIABLES, ServerFault, fault_in
from dataset_builder.language_models.retries import retrying
from dataset_builder.language_models.text_length import estimated_tokens
from dataset_builder.language_models.untrusted import count_of, object_of, string_of, text_of
from dataset_builder.teacher_name import GOOGLE

if TYPE_CHECKING:
    from google import genai

PREFIX = f"{GOOGLE}/"
ADDRESS_VARIABLE = "GOOGLE_GEMINI_BASE_URL"
_FAILED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
_OVER = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED", *_FAILED)
_FINISH_REASONS = {"STOP": "stop", "MAX_TOKENS": "length"}
_REFUSALS = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
# A line of a file of responses has google.rpc.Code where HTTP has these.
_STATUS_OF_CODE = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 13: 500, 14: 503, 16: 401}
_CONFIG = {"temperature": "temperature", "max_output_tokens": "maxOutputTokens", "seed": "seed"}


@dataclass(frozen=True, slots=True)
class GoogleProvider:
    """Where the batches go; see `BatchProvider` and `OpenAIServer`."""

    timeout: float = 120.0
    max_retries: int = 8
    # Google takes files of 2 GB; a file of responses is read at once.
    limits: ClassVar[BatchLimits] = BatchLimits(requests=50_000, size=500_000_000)
    spellings: ClassVar[Spellings] = {
        "temperature": ("temperature", OMITTED),
        "max_completion_tokens": ("max_output_tokens", OMITTED),
        "seed": ("seed", OMITTED),
        "reasoning_effort": ("thinking_level", OMITTED),
        "thinking_budget": ("thinking_budget", OMITTED),
    }

    @property
    def name(self) -> str:
        """See `Server`."""
        return os.environ.get(ADDRESS_VARIABLE) or "Google"

    @property
    def key_variable(self) -> str:
        """See `Server`."""
        return next(filter(os.environ.get, GOOGLE_KEY_VARIABLES), GOOGLE_KEY_VARIABLES[0])

    def check(self) -> None:
        """See `BatchProvider`."""
        check_package("google.genai", "google-genai", f"batch:{PREFIX}MODEL")
        check_key(GOOGLE_KEY_VARIABLES)

    @contextmanager
    def batches(self) -> Iterator["GoogleBatches"]:
        """See `BatchProvider`."""
        self.check()
        from google import genai

        retries = genai.types.HttpRetryOptions(attempts=self.max_retries + 1)
        options = genai.types.HttpOptions(timeout=int(1000 * self.timeout), retry_options=retries)
        # Not Vertex AI, whatever the environment says: that one takes no keys, and files elsewhere.
        with genai.Client(
            api_key=read_key(GOOGLE_KEY_VARIABLES), vertexai=False, http_options=options
        ) as client:
            yield GoogleBatches(client, self.max_retries)


class GoogleBatches:
    """See `Batches`. A batch carries its name as display name."""

    def __init__(self, client: "genai.Client", max_retries: int) -> None:
        self._client = client
        self._max_retries = max_retries

    def mark(self) -> str:
        """See `Batches`."""
        return ""

    def create(self, file: Path, bodies: Bodies) -> str:
        """See `Batches`."""
        from google.genai import types

        model = request_in(next(iter(bodies.values()))).model.removeprefix(PREFIX)
        once = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=1))
        with _faults():
            config = types.CreateBatchJobConfig(display_name=file.name, http_options=once)
            job = self._client.batches.create(
                model=model, src=self._uploaded(file.name, bodies), config=config
            )
        return job.name or ""

    def _uploaded(self, name: str, bodies: Bodies) -> str:
        """What Google calls the file of these requests, in its own form."""
        with tempfile.TemporaryFile() as file:
            for key, body in bodies.items():
                row = {"key": key, "request": generate_content_request(body)}
                file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
            file.seek(0)
            try:
                config = {"display_name": name, "mime_type": "jsonl"}
                return self._client.files.upload(file=file, config=config).name or ""  # type: ignore[arg-type]
            except (KeyError, ValueError) as error:
                raise ServerFault(f"a file of requests was not taken: {error}") from None

    def find(self, name: str, bodies: Bodies, mark: str, wait: Callable[[str], BatchState]) -> str:
        """See `Batches`. Of several the newest: the same requests may have been asked before."""
        with _faults():
            jobs = [job for job in self._client.batches.list() if job.display_name == name]
        newest = max(jobs, key=lambda job: str(job.create_time), default=None)
        return (newest.name or "") if newest else ""

    def state(self, batch_id: str) -> BatchState:
        """See `Batches`. Gemini's API does not count what is answered."""
        with _faults():
            job = self._client.batches.get(name=batch_id)
        status = job.state.name if job.state else "unknown"
        words = job.error.message if job.error else ""
        complaints = (words or f"the batch ended as {status}",) if status in _FAILED else ()
        return BatchState(batch_id, status, status in _OVER, complaints=complaints)

    def results(self, batch_id: str, bodies: Bodies) -> Iterator[tuple[str, ChatAnswer | ServerFault]]:
        """See `Batches`."""
        with _faults():
            job = self._client.batches.get(name=batch_id)
        file = job.dest.file_name if job.dest else None
        contents = retrying(self._max_retries)(self._download, file) if file else b""
        for line in filter(bytes.strip, contents.split(b"\n")):
            yield _read(line, bodies)

    def _download(self, file: str) -> bytes:
        with _faults():
            return self._client.files.download(file=file)


def generate_content_request(body: Mapping[str, object]) -> dict[str, object]:
    """A body of a file of requests as a GenerateContentRequest: the system's text stands apart, and what is wished of
    the answer lies in `generationConfig`."""
    messages = request_in(body).messages
    config = {theirs: body[ours] for ours, theirs in _CONFIG.items() if ours in body}
    thinking: dict[str, object] = {}
    if "thinking_budget" in body:
        thinking["thinkingBudget"] = body["thinking_budget"]
    if "thinking_level" in body:
        thinking["thinkingLevel"] = str(body["thinking_level"]).upper()
    if thinking:
        config["thinkingConfig"] = thinking
    if "response_format" in body:
        config["responseMimeType"] = "application/json"
        schema = object_of(object_of(body["response_format"]).get("json_schema")).get("schema")
        config["responseJsonSchema"] = schema
    request: dict[str, object] = {
        "contents": [
            {"role": "model" if message.role == "assistant" else "user", "parts": [{"text": message.content}]}
            for message in messages
            if message.role != "system"
        ]
    }
    system = [{"text": message.content} for message in messages if message.role == "system"]
    if system:
        request["systemInstruction"] = {"parts": system}
    return {**request, "generationConfig": config} if config else request


def read_response(response: object, request: ChatRequest) -> ChatAnswer:
    """The parts of a GenerateContentResponse that we keep; tokens that are not counted are estimated.

    Raises:
        ServerFault: where it holds neither a candidate nor a reason why the prompt was blocked.
    """
    fields = object_of(response)
    candidates = fields.get("candidates")
    candidate = object_of(candidates[0]) if isinstance(candidates, list) and candidates else {}
    blocked = string_of(object_of(fields.get("promptFeedback")).get("blockReason"))
    if not candidate and not blocked:
        raise ServerFault(f"no candidate but: {json.dumps(response, ensure_ascii=False)}", may_be_paid=True)
    parts = object_of(candidate.get("content")).get("parts")
    shown = parts if isinstance(parts, list) else []
    text = text_of([part for part in shown if not object_of(part).get("thought")])
    reason = string_of(candidate.get("finishReason"))
    refusal = f"declined: {blocked or reason}" if blocked or reason in _REFUSALS else ""
    usage = object_of(fields.get("usageMetadata"))
    made = 0 if blocked else estimated_tokens(text or refusal) + 1
    return ChatAnswer(
        text,
        refusal,
        "content_filter" if refusal else _FINISH_REASONS.get(reason, reason),
        count_of(usage.get("promptTokenCount"), request.estimated_tokens[0]),
        count_of(usage.get("candidatesTokenCount"), made) + count_of(usage.get("thoughtsTokenCount"), 0),
    )


def _read(line: bytes, bodies: Bodies) -> tuple[str, ChatAnswer | ServerFault]:
    """What one line of a file of responses says."""
    try:
        row = json.loads(line)
        key, error = string_of(row["key"]), row.get("error") or row.get("status")
        if error:
            return key, fault_in(
                {"error": error}, _STATUS_OF_CODE.get(count_of(object_of(error).get("code"), 0), 0)
            )
        return key, read_response(row.get("response"), request_in(bodies.get(key, {})))
    except ServerFault as fault:
        return key, fault
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ServerFault(f"unreadable line of a file of responses: {line.decode(errors='replace')}")


@contextmanager
def _faults() -> Iterator[None]:
    """The client's errors as ours."""
    from google.genai import errors

    try:
        yield
    except errors.APIError as error:
        raise fault_in(error.details, error.code or 0) from None
    except httpx2.HTTPError as error:
        raise ServerFault(str(error) or type(error).__name__) from None
