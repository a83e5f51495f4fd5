"""Structured answers: a JSON object with one whole number a passage, which cannot repeat or omit a passage.

A server that takes a JSON schema keeps to it. Whether it does is found out by asking once (`takes_schema`), with a
prompt that does not say what the schema demands; the answer is kept like any other, so that a replay finds the same.
"""

import json
import math
from collections import Counter

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Message, Sampling
from dataset_builder.language_models.conversation import Conversation, Rejection
from dataset_builder.teachers.answer_text import without_reasoning
from dataset_builder.teachers.permutation import Permutation, parse_permutation

_PROBE = """Search query: capital of France

[1] Paris has been the capital of France for centuries.

[2] Bread is baked in an oven.

How well does each passage answer the query? More is better."""
ATTEMPTS = 2


def score_fields(num_passages: int) -> tuple[str, ...]:
    """The fields of the object, in the order the passages are shown."""
    return tuple(f"passage_{number}" for number in range(1, num_passages + 1))


def takes_schema(model: str, sampling: Sampling) -> Conversation[bool]:
    """Whether the server of `model` keeps to a JSON schema; a refused, empty or broken answer is asked for again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = yield schema_probe(model, sampling, attempt, has_fallback=True)
        except Rejection:
            return False
        if _scores(answer.text, 2) is not None:
            return True
    return False


def schema_probe(model: str, sampling: Sampling, attempt: int = 1, has_fallback: bool = False) -> ChatRequest:
    """A short request under a schema, the same for all pools, which only a server without schemas rejects."""
    prompt = _PROBE if attempt == 1 else f"{_PROBE}\n\nThis is request {attempt}."
    message = Message("user", prompt)
    return ChatRequest(
        model, (message,), sampling=sampling, fields=score_fields(2), has_fallback=has_fallback
    )


def parse_scores(answer: ChatAnswer, num_passages: int) -> Permutation:
    """The order of the scores in a structured answer; of another answer, what `parse_permutation` reads in it.

    Passages with the same score share a level and stand as shown: `repaired`. Where fewer than half of the scores
    differ (or only one), the model does not tell the passages apart: `unusable`.
    """
    scores = _scores(answer.text, num_passages)
    if scores is None:
        return parse_permutation(answer.text, num_passages)
    if len(set(scores)) < min(num_passages, max(2, math.ceil(num_passages / 2))):
        return Permutation(None, "unusable")
    best_first = sorted(set(scores), reverse=True)
    shared = Counter(scores)
    tied = tuple(place for place, score in enumerate(scores) if shared[score] > 1)
    levels = tuple(best_first.index(score) for score in scores)
    return Permutation(levels, "repaired" if tied else "ok", repaired=tied)


def _scores(text: str, num_passages: int) -> list[float] | None:
    """The scores in the order the passages were shown; None where the text is no such object."""
    text = without_reasoning(text)
    begin = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, max(begin, 0))
    except (ValueError, RecursionError):
        return None
    fields = score_fields(num_passages)
    if not isinstance(found, dict) or set(found) != set(fields):
        return None
    scores = [found[field] for field in fields]
    whole = all(isinstance(score, int | float) and not isinstance(score, bool) for score in scores)
    return scores if whole and all(map(math.isfinite, scores)) else None
