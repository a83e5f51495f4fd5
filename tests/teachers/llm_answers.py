"""What the stand-in server answers: its ranking, the faults of real servers, and their errors."""

import hashlib
import json
import re

STAND_IN = "stand-in: no language model; order of SHA-256"
PASSAGE = re.compile(r"^\[(\d+)\] (.+)$", re.M)
TRANSPORT_FAULTS = ("429", "500", "503", "timeout", "cut_off_body", "broken_json", "html", "error_in_200")
BODY_FAULTS = ("null_choice", "no_choices", "error_in_choice")
CONTENT_FAULTS = ("refusal", "refusal_field", "empty", "malformed", "cut_off_answer", "repeats")
# Not what OpenAI sends, but an answer all the same.
FORMS = ("parts", "usage_empty", "usage_null", "usage_part", "usage_text", "half_surrogate")
FAULTS = TRANSPORT_FAULTS + BODY_FAULTS + CONTENT_FAULTS + FORMS
# Errors of one request that no retry mends: (status, code, type, message).
REJECTIONS = {
    "invalid_prompt": (
        400,
        "invalid_prompt",
        "invalid_request_error",
        "Invalid prompt: flagged as a violation.",
    ),
    "unprocessable": (
        422,
        None,
        "invalid_request_error",
        "the passage holds a character that is not allowed",
    ),
    "no_schema": (400, "no_schema", None, "response_format is not supported"),
    "string_detail": (400, None, None, "prompt could not be tokenized"),
}
STOPS = {
    "401": (401, "invalid_api_key", None, "Incorrect API key provided"),
    "402": (402, None, None, "Insufficient Balance"),
    "403": (403, "unsupported_country_region_territory", None, "Country, region, or territory not supported"),
    "404": (404, "model_not_found", None, "The model `x` does not exist"),
    "insufficient_quota": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota",
    ),
}
ERRORS = {
    "429": (429, {"message": "slow down", "code": "rate_limit_exceeded"}),
    "rate_limit": (429, {"message": "Rate limit reached", "code": "rate_limit_exceeded"}),
    "500": (500, {"message": "internal", "code": "server_error"}),
    "503": (503, {"message": "overloaded", "type": "overloaded_error"}),
    "content_filter": (400, {"message": "filtered", "code": "content_filter"}),
    "error_in_200": (200, {"message": "provider busy", "code": 502}),
}
TOO_LONG = "This model's maximum context length is {} tokens. However, your messages resulted in {} tokens."
UNSUPPORTED = "Unsupported parameter: '{}' is not supported with this model."


TEXTS = {
    "refusal": "I'm sorry, but I can't assist with ranking these passages.",
    "empty": "",
    "malformed": "The passages are all about the topic; passage [1] stands out.",
}


def stand_in_order(texts):
    """Indices of the texts, "best" first."""
    return sorted(range(len(texts)), key=lambda index: hashlib.sha256(texts[index].encode()).hexdigest())


def ranking_ids(body):
    """The ids of a request's passages in the stand-in's order."""
    shown = PASSAGE.findall(body["messages"][-1]["content"])
    return [int(shown[index][0]) for index in stand_in_order([text for _, text in shown])]


def ranking_text(body, ids):
    if "response_format" in body:
        listed = list(dict.fromkeys(ids))
        return json.dumps({f"passage_{number}": len(ids) - place for place, number in enumerate(listed)})
    return " > ".join(f"[{number}]" for number in ids)


def completion(body, fault=None):
    """A chat completion, with a fault in its content if one is named."""
    ids = ranking_ids(body)
    text, refusal, finish = ranking_text(body, ids), None, "stop"
    if fault == "refusal_field":
        text, refusal = None, "I can't help with that."
    elif fault == "cut_off_answer":
        text, finish = text[: len(text) // 3], "length"
    elif fault == "repeats":
        text = ranking_text(body, [*ids, ids[0]])
    elif fault == "half_surrogate":
        text = f"{text} \ud83d"
    else:
        text = TEXTS.get(fault, text)
    usage = dict(zip(("prompt_tokens", "completion_tokens"), sizes(body), strict=True))
    usage["total_tokens"] = sum(usage.values())
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 0,
        "model": STAND_IN,
        "system_fingerprint": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
        ],
        "usage": usage,
    }


def in_another_form(answer, fault):
    """A completion as other servers send it, or as none should."""
    choice, usage = answer["choices"][0], answer["usage"]
    text = choice["message"]["content"]
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "[1] > [2]?"}]}
    forms: dict[str | None, dict[str, object]] = {
        "parts": {"choices": [with_content(choice, [thinking, {"type": "text", "text": text}])]},
        "null_choice": {"choices": [None]},
        "no_choices": {"choices": None},
        "error_in_choice": {"choices": [{**choice, "error": {"code": 502, "message": "connection lost"}}]},
        "usage_empty": {"usage": {}},
        "usage_null": {"usage": None},
        "usage_part": {"usage": {**usage, "completion_tokens": None}},
        "usage_text": {"usage": "unknown"},
    }
    return {**answer, **forms.get(fault, {})}


def with_content(choice, content):
    return {**choice, "message": {**choice["message"], "content": content}}


def sizes(body):
    """Tokens of the prompt and of the answer."""
    return sum(len(message["content"]) for message in body["messages"]) // 4, 5 * len(ranking_ids(body))


def error_row(row):
    error = {"code": "server_error", "message": "the server had an error"}
    return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": None, "error": error})


def rejected_row(row, status, error):
    response = {"status_code": status, "request_id": "r", "body": error}
    return json.dumps({"id": "x", "custom_id": row["custom_id"], "response": response, "error": None})


def error_of(fault, body, refused=(), context=0):
    """Status and body of an error."""
    if fault == "too_long":
        message = TOO_LONG.format(context, sizes(body)[0])
        return 400, {"error": {"message": message, "code": "context_length_exceeded"}}
    if fault == "refused_parameter":
        name = next(name for name in refused if name in body)
        return 400, {
            "error": {"message": UNSUPPORTED.format(name), "code": "unsupported_parameter", "param": name}
        }
    if fault in ERRORS:
        status, error = ERRORS[fault]
        return status, {"error": error}
    status, code, kind, message = {**REJECTIONS, **STOPS}[fault]
    if fault == "string_detail":
        return status, {"detail": message}
    return status, {"error": {"message": message, "code": code, "type": kind}}


def prompt_hash(body):
    texts = json.dumps([message["content"] for message in body["messages"]])
    return hashlib.sha256(texts.encode()).hexdigest()


def request_key(body):
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
