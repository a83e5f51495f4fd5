"""A request to a chat model and its answer, as far as a teacher needs them."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dataset_builder.language_models.text_length import estimated_tokens


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model answers. None, or "": not sent, the server's default (reasoning models refuse a temperature).

    `max_tokens`: the longest answer, reasoning included. `seed`: of the random numbers, where there is a temperature.
    `top_logprobs`: ask for the log-probabilities of so many candidates for each token of the answer.
    `reasoning_effort`: in the server's words, for instance `low`. `thinking_budget`: tokens to reason with.
    """

    temperature: float | None = 0.0
    max_tokens: int | None = None
    seed: int | None = None
    top_logprobs: int | None = None
    reasoning_effort: str = ""
    thinking_budget: int | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `num_listed`: how many ids to list, 0 for any other answer; with `fields`, a JSON schema
    demands an object with an integer in each of them.

    `has_fallback`: its conversation goes on without an answer where it is rejected, and another way after that.
    """

    model: str
    messages: tuple[Message, ...]
    num_listed: int = 0
    sampling: Sampling = Sampling()
    fields: tuple[str, ...] = ()
    has_fallback: bool = False

    def payload(self) -> dict[str, object]:
        """The body for `/v1/chat/completions`, as we wish it; `Dialect` spells it as a server takes it."""
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
        }
        if self.sampling.temperature is not None:
            body["temperature"] = self.sampling.temperature
        if self.sampling.max_tokens is not None:
            body["max_completion_tokens"] = self.sampling.max_tokens
        if self.sampling.seed is not None:
            body["seed"] = self.sampling.seed
        if self.sampling.top_logprobs is not None:
            body["logprobs"], body["top_logprobs"] = True, self.sampling.top_logprobs
        if self.sampling.reasoning_effort:
            body["reasoning_effort"] = self.sampling.reasoning_effort
        if self.sampling.thinking_budget is not None:
            body["thinking_budget"] = self.sampling.thinking_budget
        if self.fields:
            body["response_format"] = _integer_fields(self.fields)
        return body

    @property
    def key(self) -> str:
        """Names what is paid for: the SHA-256 of model and payload, not of who asked, when or where."""
        body = json.dumps(self.payload(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def estimated_tokens(self) -> tuple[int, int]:
        """About how many tokens prompt and answer have: five for `[12] > `, ten for `"passage_12": 87`."""
        prompt = sum(estimated_tokens(message.content) for message in self.messages) + 10
        if self.fields:
            return prompt, 10 * len(self.fields)
        return prompt, 5 * self.num_listed or self.sampling.max_tokens or 0

    @property
    def assumed_answer(self) -> "ChatAnswer":
        """A usable answer, for an estimate: the ids in the order shown, or `Yes`."""
        if self.fields:
            return ChatAnswer(json.dumps({name: -place for place, name in enumerate(self.fields)}))
        listed = " > ".join(f"[{number}]" for number in range(1, self.num_listed + 1))
        return ChatAnswer(listed or "Yes", first_token={"Yes": 0.0})


class Outcome(StrEnum):
    """What became of a request. One that failed for now has none yet: it is asked again."""

    ANSWERED = "answered"
    REFUSED = "refused"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """One answer. `refusal` is the model's own word for it (`""`: none); tokens are the server's counts.

    `first_token`: the candidates for the answer's first token, by their natural log-probability; None where the
    server gave none. `rejection`: why the server does not take this request, in its words (`""`: it did take it);
    `too_long`: because the prompt is too long.
    """

    text: str
    refusal: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token: dict[str, float] | None = None
    rejection: str = ""
    too_long: bool = False

    @property
    def outcome(self) -> Outcome:
        """What became of the request."""
        if self.rejection:
            return Outcome.REJECTED
        declined = self.refusal or self.finish_reason == "content_filter"
        return Outcome.REFUSED if declined else Outcome.ANSWERED


def _integer_fields(names: tuple[str, ...]) -> dict[str, object]:
    """Structured output: one required integer a field, so that none can be repeated or left out."""
    schema = {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "scores", "strict": True, "schema": schema}}
