"""What a server sent, read without trusting its form."""

from collections.abc import Mapping

_TEXT_PARTS = ("text", "output_text")


def text_of(content: object) -> str:
    """A message's text; of a list of parts those that are text, not thinking."""
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    return string_of(content)


def _part(part: object) -> str:
    if isinstance(part, Mapping):
        return string_of(part.get("text")) if part.get("type", "text") in _TEXT_PARTS else ""
    return string_of(part)


def count_of(value: object, otherwise: int) -> int:
    """A count of tokens; `otherwise` for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return otherwise
    return int(value)


def object_of(value: object) -> Mapping[str, object]:
    """An object of JSON; an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}


def string_of(value: object) -> str:
    """A string that can be written: a server may send half of a pair of surrogates."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
