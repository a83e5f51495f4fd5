"""Queries in files: BEIR's `queries.jsonl`, and TREC topics."""

import json
from collections.abc import Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.lines import located_lines


def read_queries(path: Path) -> dict[str, str]:
    """The texts of a BEIR `queries.jsonl`, by id.

    Raises:
        InputError: for a line of another form.
    """
    queries: dict[str, str] = {}
    for place, line in located_lines(path):
        try:
            row = json.loads(line)
            query_id, text = str(row["_id"]), row["text"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f'{place}: expected an object with "_id" and "text"') from error
        if not isinstance(text, str):
            raise InputError(f'{place}: "text" must be a string')
        queries[query_id] = text
    return queries


def read_topics(path: Path) -> dict[str, str]:
    """Queries of a local file: BEIR's `.jsonl`, or a TREC topics file of `id <tab> text` lines.

    Raises:
        InputError: for a file that is missing, or a line of another form.
    """
    if not path.is_file():
        raise InputError(f"topics {path} do not exist")
    if path.suffix == ".jsonl":
        return read_queries(path)
    queries: dict[str, str] = {}
    for place, line in located_lines(path):
        query_id, tab, text = line.partition("\t")
        if not tab:
            raise InputError(f"{place}: expected id, tab, query text")
        queries[query_id] = text
    return queries


def read_queries_file(path: Path) -> dict[str, str]:
    """The texts of a BEIR `queries.jsonl`, by id.

    Raises:
        InputError: for a file that is missing, a line of another form, a query without a text, or an id with two.
    """
    if not path.is_file():
        raise InputError(f"queries {path} do not exist")
    texts: dict[str, str] = {}
    for place, line in located_lines(path):
        query_id, text = _id_and_text(line, place)
        if texts.setdefault(query_id, text) != text:
            raise InputError(f"{place}: query {query_id!r} has another text above")
    return texts


def _id_and_text(line: str, place: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        query_id, text = row["_id"], row["text"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{place}: expected an object with _id and text") from error
    if isinstance(query_id, bool) or not isinstance(query_id, str | int) or query_id == "":
        raise InputError(f'{place}: "_id" is {json.dumps(query_id)}; it must be a string')
    if not isinstance(text, str) or not text.strip():
        raise InputError(
            f'{place}: the "text" of query {str(query_id)!r} is {json.dumps(text)}; it must be a string'
        )
    return str(query_id), text


def read_query_texts(path: Path) -> Iterator[str]:
    """The texts of an evaluation set's queries: JSONL with `text`, or `id<TAB>text` lines.

    Raises:
        InputError: for a file that is missing, or a line of another form.
    """
    if not path.is_file():
        raise InputError(f"--exclude_queries {path} does not exist")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _text(line, f"{path} line {number}")


def _text(line: str, place: str) -> str:
    if not line.startswith("{"):
        _, tab, text = line.rstrip("\n").partition("\t")
        if not tab:
            raise InputError(f"{place}: neither JSON nor id<TAB>text; give queries.jsonl or a .tsv of topics")
        return text
    try:
        return str(json.loads(line)["text"])
    except (json.JSONDecodeError, KeyError) as error:
        raise InputError(f"{place}: no JSON object with a text ({error})") from error
