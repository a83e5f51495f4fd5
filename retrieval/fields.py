"""The fields of a row under the names that people give them, and the ids that a TREC run can hold."""

import re
from collections.abc import Collection, Mapping, Sequence

from retrieval.errors import InputError
from retrieval.records import Passage

PASSAGE_IDS = ("_id", "id", "docid", "doc_id", "pid", "passage_id", "corpus-id", "corpus_id")
QUERY_IDS = ("_id", "id", "qid", "query_id", "query-id")
TITLES = ("title",)
TEXTS = ("text", "contents", "content", "passage", "body")
QUERY_TEXTS = ("text", "query")
_NOT_IN_RUNS = re.compile(r"[\s\x00-\x1f\x7f]")


def passage_of(row: Mapping[str, object], place: str) -> Passage:
    """The passage of a row. Text and title may be missing.

    Raises:
        InputError: for an id that is missing or that a run cannot hold, and for text that is none.
    """
    docid = id_of(row, PASSAGE_IDS, place)
    title, text = text_of(row, TITLES, place) or "", text_of(row, TEXTS, place) or ""
    return checked_passage(Passage(docid, title.strip(), text.strip()), place)


def checked_passage(passage: Passage, place: str) -> Passage:
    """`passage`, if its id can stand in a run and its text in a file.

    Raises:
        InputError: with the place and the id.
    """
    checked_id(passage.docid, place)
    if has_half_surrogates(passage.contents):
        raise InputError(f"{place}: passage {passage.docid!r} holds half a surrogate pair")
    return passage


def id_of(row: Mapping[str, object], names: Sequence[str], place: str) -> str:
    """The id of a row, under the first of `names` that it has.

    Raises:
        InputError: for an id that is missing, or neither a string nor a whole number.
    """
    _, found = _first(row, names)
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise InputError(
            f'{place}: expected an object with "_id" and "text"; the id is a string or a whole number'
        )
    return str(found)


def text_of(row: Mapping[str, object], names: Sequence[str], place: str) -> str | None:
    """The text of a row, under the first of `names` that it has; None where it has none.

    Raises:
        InputError: for text that is no string.
    """
    name, found = _first(row, names)
    if found is not None and not isinstance(found, str):
        raise InputError(f'{place}: "{name}" must be a string')
    return found


def checked_id(identifier: str, place: str) -> str:
    """`identifier`, if a TREC run can hold it.

    Raises:
        InputError: for one that is empty, or holds white space, control characters or half a surrogate pair.
    """
    if not identifier:
        raise InputError(f"{place}: the id is empty")
    if _NOT_IN_RUNS.search(identifier):
        raise InputError(f"{place}: id {identifier!r} contains white space, which run files cannot hold")
    if has_half_surrogates(identifier):
        raise InputError(f"{place}: id {identifier!r} holds half a surrogate pair")
    return identifier


def is_header(cells: Sequence[str], ids: Collection[str], texts: Collection[str]) -> bool:
    """Whether the first line of a table names its columns: one for the id, one for the text."""
    names = header_names(cells)
    return any(name in ids for name in names) and any(name in texts for name in names)


def header_names(cells: Sequence[str]) -> list[str]:
    """The names of a header's columns, without quotes and in lower case."""
    return [cell.strip('" ').casefold() for cell in cells]


def has_half_surrogates(text: str) -> bool:
    """Whether `text` holds half of a surrogate pair, which no file in UTF-8 can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def without_half_surrogates(text: str) -> str:
    """`text` with U+FFFD where it holds half of a surrogate pair, which no model and no index takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _first(row: Mapping[str, object], names: Sequence[str]) -> tuple[str, object]:
    return next(((name, row[name]) for name in names if row.get(name) is not None), ("", None))
