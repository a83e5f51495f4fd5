"""Judgments in files: BEIR's `qrels/SPLIT.tsv`, and TREC's qrels."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.errors import InputError
from retrieval.fields import PASSAGE_IDS, QUERY_IDS, checked_id
from retrieval.lines import located_lines

# Query → docid → grade.
Qrels = dict[str, dict[str, int]]
# Place, query, docid, grade.
Judgment = tuple[str, str, str, int]

_GRADE = re.compile(r"[+-]?[0-9]{1,9}")


def read_qrels(path: Path) -> Qrels:
    """Judgments in BEIR's form: query-id, corpus-id, score, by tabs, under a header; or in TREC's: query-id, 0,
    docid, grade.

    Raises:
        InputError: for a file that is missing or empty, a line of another form, an id that a run cannot hold, or two
            grades of one passage for one query.
    """
    qrels = qrels_of(_judgments(path))
    if not qrels:
        raise InputError(f"{path} holds no judgment")
    return qrels


def qrels_of(judgments: Iterable[Judgment]) -> Qrels:
    """The grades, by query and docid. Raises as `read_qrels`."""
    qrels: Qrels = {}
    for place, query_id, docid, grade in judgments:
        known = qrels.setdefault(query_id, {}).setdefault(docid, grade)
        if known != grade:
            raise InputError(
                f"{place}: {docid} has the grade {known} for query {query_id} already, and here {grade}"
            )
    return qrels


def _judgments(path: Path) -> Iterator[Judgment]:
    for number, (place, line) in enumerate(located_lines(path)):
        fields = _fields(line)
        if number > 0 or not _is_header(fields):
            yield place, *_judgment(fields, place)


def _fields(line: str) -> list[str]:
    """By tabs, so that an id with a blank in it is seen; by white space where there are none."""
    return [field.strip() for field in line.strip().split("\t")] if "\t" in line else line.split()


def _is_header(fields: list[str]) -> bool:
    return (
        len(fields) == 3
        and fields[0].casefold() in (*QUERY_IDS, "query")
        and fields[1].casefold() in (*PASSAGE_IDS, "doc")
        and not _GRADE.fullmatch(fields[2])
    )


def _judgment(fields: list[str], place: str) -> tuple[str, str, int]:
    if len(fields) not in (3, 4) or not _GRADE.fullmatch(fields[-1]):
        raise InputError(
            f"{place}: expected query-id, corpus-id and an integer score, by tabs; or query-id, 0, docid and an "
            "integer grade, as TREC writes them"
        )
    return checked_id(fields[0], place), checked_id(fields[-2], place), int(fields[-1])
