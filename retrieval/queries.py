"""Queries in files: BEIR's `queries.jsonl`, and TREC topics."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from retrieval.errors import InputError
from retrieval.fields import (
    QUERY_IDS,
    QUERY_TEXTS,
    checked_id,
    has_half_surrogates,
    id_of,
    text_of,
    without_half_surrogates,
)
from retrieval.lines import located_lines, parse_object
from retrieval.tsv import read_tsv

COLUMNS = (("id", "text"),)


def read_queries(path: Path) -> dict[str, str]:
    """The texts of a file of queries, by id: BEIR's JSON lines, or TREC topics of `id <tab> text` lines.

    Half a surrogate pair, which no model and no index takes, is read as U+FFFD, and that is said.

    Raises:
        InputError: for a file that is missing or empty, a line of another form, an id that a run cannot hold, or one
            that two different queries have.
    """
    return queries_of(_rows(path))


def queries_of(rows: Iterable[tuple[str, Mapping[str, object]]]) -> dict[str, str]:
    """The texts of queries, by id, of each row's place and values. Raises as `read_queries`."""
    queries: dict[str, str] = {}
    for place, row in rows:
        query_id, text = checked_id(id_of(row, QUERY_IDS, place), place), _text(row, place)
        if queries.setdefault(query_id, text) != text:
            raise InputError(f"{place}: another query has the id {query_id!r} already; ids must be unique")
    return queries


def read_query_texts(path: Path) -> Iterator[str]:
    """The texts of an evaluation set's queries, in the same forms; they need no id. Raises as `read_queries`."""
    return (_text(row, place) for place, row in _rows(path))


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    first = next(islice(located_lines(path), 1), None)
    if first is None:
        raise InputError(f"{path} holds no query")
    if first[1].lstrip().startswith(("{", "[")):
        return ((place, parse_object(line, place)) for place, line in located_lines(path))
    return iter(read_tsv(path, QUERY_IDS, QUERY_TEXTS, COLUMNS))


def _text(row: Mapping[str, object], place: str) -> str:
    text = text_of(row, QUERY_TEXTS, place)
    if text is None or not text.strip():
        raise InputError(
            f'{place}: the query has no text; expected an object with "_id" and "text", or id, tab, text'
        )
    if has_half_surrogates(text):
        print(f"{place}: half a surrogate pair is read as U+FFFD", file=sys.stderr)
        return without_half_surrogates(text)
    return text
