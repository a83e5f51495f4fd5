"""What a server's error means: for the request, and for the build."""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from dataset_builder.language_models.untrusted import object_of
from retrieval.errors import InputError

KEY_VARIABLE = "OPENAI_API_KEY"
ANTHROPIC_KEY_VARIABLE = "ANTHROPIC_API_KEY"
# The first that is set.
GOOGLE_KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_KEY_VARIABLES = (KEY_VARIABLE, ANTHROPIC_KEY_VARIABLE, *GOOGLE_KEY_VARIABLES)
LONGEST_QUOTE = 300
_KEY = re.compile(r"\b(sk|key)-[\w-]{8,}|\bAIza[\w-]{8,}|Bearer \S+")


class Meaning(StrEnum):
    """What to do about an error.

    `FATAL`: no request will be accepted. `REFUSED`: a filter declines this one. `REJECTED`: this one is not accepted.
    `TOO_LONG`: not in this length. `BUSY`: not yet. `TRANSIENT`: perhaps at the next try.
    """

    FATAL = "fatal"
    REFUSED = "refused"
    REJECTED = "rejected"
    TOO_LONG = "too long"
    BUSY = "busy"
    TRANSIENT = "transient"


OUT_OF_MONEY = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "insufficient_balance",
    "insufficient_funds",
}
# Google's API has status 400 for a key that it does not know.
_BAD_KEY = {"invalid_api_key", "api_key_invalid", "authentication_error"}
_FATAL = {*OUT_OF_MONEY, *_BAD_KEY, "permission_error", "model_not_found"}
_FILTERS = {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
_TOO_LONG = {"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}
_TOO_LONG_WORDS = re.compile(
    r"context (length|window|size)|maximum (context|prompt|input) length|prompt is too long|input is too long"
    r"|too many (input )?tokens|(exceed\w*|longer than|above) the (model'?s )?max\w* (number of )?\w*\s?(tokens|length)"
    r"|reduce the length|request too large|request entity too large",
    re.I,
)
_MODERATED = re.compile(r"moderat|flagged|content (policy|filter)", re.I)
# What stands for a status where an error comes without one: inside a 200, or in a batch's line.
_STATUS_OF = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "badrequesterror": 400,
    "invalid_argument": 400,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
}
_STOPS = (401, 403, 404, 405)
_WAITS = (429, 503, 529)
_MAY_PASS = (408, 409, 425)


class Server(Protocol):
    """What a message must say of a server."""

    @property
    def name(self) -> str:
        """For messages, and for what is remembered of this server."""
        ...

    @property
    def key_variable(self) -> str:
        """Where its key is."""
        ...

    @property
    def max_retries(self) -> int:
        """How often a request is repeated."""
        ...


class ServerFault(Exception):
    """An error of a server, or an answer that is none.

    Attributes:
        status: of HTTP; 0 where there was none.
        codes: the error's code, type and status, in small letters.
        parameter: the one that is at fault, as the server names it; `""` if it names none.
        words: the server's own, one line.
        retry_after: seconds to wait, where the server says so.
        may_be_paid: whether an answer may have been made, and charged, that did not arrive.
    """

    def __init__(
        self,
        words: str,
        status: int = 0,
        codes: frozenset[str] = frozenset(),
        parameter: str = "",
        retry_after: float | None = None,
        may_be_paid: bool = False,
    ) -> None:
        super().__init__(words)
        self.words = one_line(words)
        self.status = status
        self.codes = codes
        self.parameter = parameter
        self.retry_after = retry_after
        self.may_be_paid = may_be_paid

    @property
    def meaning(self) -> Meaning:
        """What to do about it."""
        if self.codes & _FILTERS or (self.status == 403 and _MODERATED.search(self.words)):
            return Meaning.REFUSED
        if self.codes & _FATAL or self.status == 402 or self.status in _STOPS:
            return Meaning.FATAL
        if self.codes & _TOO_LONG or self.status == 413 or self._says_too_long():
            return Meaning.TOO_LONG
        if self.status in _WAITS:
            return Meaning.BUSY
        if 400 <= self.status < 500 and self.status not in _MAY_PASS:
            return Meaning.REJECTED
        return Meaning.TRANSIENT

    def _says_too_long(self) -> bool:
        """Of a 429 only `Request too large` counts: other words may tell of tokens a minute."""
        found = _TOO_LONG_WORDS.search(self.words)
        return bool(found) and (self.status != 429 or "too large" in self.words.lower())


def fault_in(body: object, status: int = 0, retry_after: float | None = None) -> ServerFault:
    """The error that a parsed body tells of, in any of the forms in use."""
    error = _error(body)
    named = [str(error.get(name) or "").lower() for name in ("code", "type", "status")]
    inner = error.get("innererror")
    if isinstance(inner, Mapping):
        named.append(str(inner.get("code") or "").lower())
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        named.append(str(object_of(detail).get("reason") or "").lower())
    codes = frozenset(filter(None, named))
    if status in (0, 200):
        status = next(filter(None, map(_status_of, named)), status)
    words = error.get("message") or error.get("detail") or body
    return ServerFault(str(words), status, codes, str(error.get("param") or ""), retry_after)


def fatal_error(fault: ServerFault, server: Server) -> InputError:
    """What the user can do about an error that concerns every request."""
    if fault.status == 401 or fault.codes & _BAD_KEY:
        return InputError(
            f"{server.name} does not accept the key in {server.key_variable}; check it and the project's rights"
        )
    if fault.status == 402 or fault.codes & OUT_OF_MONEY:
        return InputError(
            f"{server.name} has no quota left for this key ({fault.words}); all answers are kept: pay or raise the "
            "quota, then run the same command again"
        )
    if 400 <= fault.status < 500 and fault.status not in (408, 409, 425, 429):
        return InputError(f"{server.name} does not serve such requests ({fault.status}): {fault.words}")
    return InputError(
        f"{server.name} still fails after {server.max_retries} retries ({fault.words}); all answers are kept: "
        "run the same command again later"
    )


def one_line(text: str) -> str:
    """A server's words, fit for a message: one line, no key, tags of HTML left out, not too long."""
    for variable in _KEY_VARIABLES:
        key = os.environ.get(variable, "").strip()
        text = text.replace(key, "KEY") if len(key) > 3 else text
    return " ".join(re.sub(r"<[^>]*>", " ", _KEY.sub("KEY", text)).split())[:LONGEST_QUOTE]


def _error(body: object) -> Mapping[str, object]:
    if isinstance(body, list) and body:
        body = body[0]
    error = body.get("error") if isinstance(body, Mapping) else body
    if isinstance(error, str):
        return {"message": error}
    if isinstance(error, Mapping):
        return error
    return body if isinstance(body, Mapping) else {}


def _status_of(code: str) -> int:
    return int(code) if re.fullmatch("[45][0-9]{2}", code) else _STATUS_OF.get(code, 0)
