"""What `score` and `rank` refuse before they begin: by name, with its place."""

from collections.abc import Collection, Mapping, Sequence


def require_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Refuse what is not two texts.

    Raises:
        ValueError: it names the first wrong pair.
    """
    for index, pair in enumerate(pairs):
        if isinstance(pair, str | Mapping) or not isinstance(pair, Collection) or len(pair) != 2:
            raise ValueError(
                f"pair {index} is {_shown(pair)}, not a query and a passage; give a list of pairs"
            )
        for name, text in zip(("query", "passage"), pair, strict=True):
            _require_text(text, f"the {name} of pair {index}")


def require_passages(passages: Sequence[str]) -> None:
    """Refuse one text where a list of them belongs: its characters would be ranked.

    Raises:
        ValueError: for a single text, and for a passage that is none; it names the first.
    """
    if isinstance(passages, str):
        raise ValueError(f"passages are one text, {_shown(passages)}; give a list of texts")
    for index, passage in enumerate(passages):
        _require_text(passage, f"passage {index}")


def require_positive(name: str, number: int | None) -> None:
    """Refuse a number below 1.

    Raises:
        ValueError: it says which argument it is.
    """
    if number is not None and number < 1:
        raise ValueError(f"{name} {number} is below 1")


def _require_text(text: object, name: str) -> None:
    if not isinstance(text, str):
        raise ValueError(f"{name} is {_shown(text)}, not a text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ValueError(
            f"{name} holds half a character, {half!r} at {error.start}; decode it anew"
        ) from error


def _shown(value: object) -> str:
    return f"{value!r:.60}"
