"""From what a server sent to the answer that we keep: checked before it is written, since it is paid."""

import json
from collections.abc import Mapping

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.faults import Meaning, ServerFault, fault_in
from dataset_builder.language_models.text_length import estimated_tokens
from dataset_builder.language_models.untrusted import count_of, object_of, string_of, text_of


def read_completion(body: object, request: ChatRequest) -> ChatAnswer:
    """The parts of a completion that we keep; tokens that the server does not count are estimated.

    Raises:
        ServerFault: where it holds no message; its words are the server's.
    """
    choices = object_of(body).get("choices")
    choice = object_of(choices[0]) if isinstance(choices, list) and choices else {}
    message = choice.get("message")
    for holder in (object_of(body), choice):
        if holder.get("error"):
            raise fault_in(holder)
    if not isinstance(message, Mapping):
        words = json.dumps(body, ensure_ascii=False)
        raise ServerFault(f"no chat completion but: {words}", may_be_paid=True)
    text, refusal = text_of(message.get("content")), string_of(message.get("refusal"))
    usage = object_of(object_of(body).get("usage"))
    made = estimated_tokens(text or refusal) + 1
    return ChatAnswer(
        text,
        refusal,
        string_of(choice.get("finish_reason")),
        count_of(usage.get("prompt_tokens"), request.estimated_tokens[0]),
        count_of(usage.get("completion_tokens"), made),
        _first_token(choice.get("logprobs")),
    )


def outcome_of(fault: ServerFault) -> ChatAnswer | None:
    """What a fault makes of its request: a refusal or a rejection; None where it is not the request's."""
    if fault.meaning is Meaning.REFUSED:
        return ChatAnswer("", refusal=f"declined by the server's content filter: {fault.words}")
    if fault.meaning in (Meaning.REJECTED, Meaning.TOO_LONG):
        return ChatAnswer("", rejection=fault.words, too_long=fault.meaning is Meaning.TOO_LONG)
    return None


def _first_token(logprobs: object) -> dict[str, float] | None:
    tokens = object_of(logprobs).get("content")
    first = object_of(tokens[0]).get("top_logprobs") if isinstance(tokens, list) and tokens else None
    if not isinstance(first, list):
        return None
    candidates = {string_of(object_of(each).get("token")): object_of(each).get("logprob") for each in first}
    return {
        token: float(value) for token, value in candidates.items() if isinstance(value, float | int)
    } or None
