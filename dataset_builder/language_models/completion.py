"""From what a server sent to the answer that we keep: checked before it is written, since it is paid."""

import json
from collections.abc import Mapping

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.faults import Meaning, ServerFault, fault_in
from dataset_builder.language_models.text_length import estimated_tokens

_TEXT_PARTS = ("text", "output_text")


def read_completion(body: object, request: ChatRequest) -> ChatAnswer:
    """The parts of a completion that we keep; tokens that the server does not count are estimated.

    Raises:
        ServerFault: where it holds no message; its words are the server's.
    """
    choices = _object(body).get("choices")
    choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
    message = choice.get("message")
    for holder in (_object(body), choice):
        if holder.get("error"):
            raise fault_in(holder)
    if not isinstance(message, Mapping):
        words = json.dumps(body, ensure_ascii=False)
        raise ServerFault(f"no chat completion but: {words}", may_be_paid=True)
    text, refusal = _text(message.get("content")), _string(message.get("refusal"))
    usage = _object(_object(body).get("usage"))
    made = estimated_tokens(text or refusal) + 1
    return ChatAnswer(
        text,
        refusal,
        _string(choice.get("finish_reason")),
        _count(usage.get("prompt_tokens"), request.estimated_tokens[0]),
        _count(usage.get("completion_tokens"), made),
        _first_token(choice.get("logprobs")),
    )


def outcome_of(fault: ServerFault) -> ChatAnswer | None:
    """What a fault makes of its request: a refusal or a rejection; None where it is not the request's."""
    if fault.meaning is Meaning.REFUSED:
        return ChatAnswer("", refusal=f"declined by the server's content filter: {fault.words}")
    if fault.meaning in (Meaning.REJECTED, Meaning.TOO_LONG):
        return ChatAnswer("", rejection=fault.words, too_long=fault.meaning is Meaning.TOO_LONG)
    return None


def _text(content: object) -> str:
    """A message's text; of a list of parts those that are text, not thinking."""
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    return _string(content)


def _part(part: object) -> str:
    if isinstance(part, Mapping):
        return _string(part.get("text")) if part.get("type", "text") in _TEXT_PARTS else ""
    return _string(part)


def _first_token(logprobs: object) -> dict[str, float] | None:
    tokens = _object(logprobs).get("content")
    first = _object(tokens[0]).get("top_logprobs") if isinstance(tokens, list) and tokens else None
    if not isinstance(first, list):
        return None
    candidates = {_string(_object(each).get("token")): _object(each).get("logprob") for each in first}
    return {
        token: float(value) for token, value in candidates.items() if isinstance(value, float | int)
    } or None


def _count(value: object, otherwise: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return otherwise
    return int(value)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _string(value: object) -> str:
    """A string that can be written: a server may send half of a pair of surrogates."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
