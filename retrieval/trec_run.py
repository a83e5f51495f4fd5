"""TREC run files: `query_id Q0 docid rank score tag`, the field's exchange format for rankings."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from retrieval.errors import InputError
from retrieval.fields import checked_id
from retrieval.lines import numbered_lines
from retrieval.records import Hit

Run = dict[str, list[Hit]]

SHOWN = 30
_RANK = re.compile(r"[+-]?[0-9]{1,18}")
# Not what `float` takes beside numbers: 1_000, other scripts' digits.
_SCORE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_run(path: Path) -> Run:
    """Each query's hits, in the order trec_eval sees: score descending, ties by docid descending.

    Raises:
        InputError: for a file that is missing or is not a run, with the line; a score that is not a finite number; or
            a passage ranked twice for a query.
    """
    scores = {
        query_id: {docid: line.score for docid, line in found.items()}
        for query_id, found in _lines(path).items()
    }
    return {query_id: ordered(found) for query_id, found in scores.items()}


def read_ranked_run(path: Path) -> Run:
    """Each query's hits by their written rank: of a run whose order counts, not only its measures.

    Raises:
        InputError: as `read_run`; for a rank that is no number, or a score that is higher than one of a better rank.
    """
    return {query_id: _by_rank(path, found) for query_id, found in _lines(path).items()}


def _by_rank(path: Path, found: Mapping[str, "_Line"]) -> list[Hit]:
    """Hits by rank; those of one rank by score, then as they are written."""
    wrong = next((line.number for line in found.values() if line.rank is None), None)
    if wrong is not None:
        raise InputError(f"{path} line {wrong}: the rank is not a whole number")
    placed = sorted(found.items(), key=lambda item: (item[1].rank, -item[1].score, item[1].number))
    for (above, better), (below, worse) in pairwise(placed):
        if better.score < worse.score and better.rank != worse.rank:
            raise InputError(
                f"{path} line {worse.number}: {below} has rank {worse.rank} and a higher score than {above} of rank "
                f"{better.rank}; scores must fall with the rank"
            )
    return [Hit(docid, line.score) for docid, line in placed]


def ordered(scores: Mapping[str, float]) -> list[Hit]:
    """Hits in trec_eval's order: score descending, ties by docid descending."""
    hits = sorted(scores.items(), key=lambda item: (item[1], item[0]), reverse=True)
    return [Hit(docid, score) for docid, score in hits]


def write_run(path: Path, run: Mapping[str, Sequence[Hit]], tag: str) -> None:
    """Write `run`, aside first and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        for query_id, hits in run.items():
            for rank, hit in enumerate(hits, start=1):
                file.write(f"{query_id} Q0 {hit.docid} {rank} {hit.score!r} {tag}\n")
    os.replace(unfinished, path)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    rank: int | None
    score: float


def _lines(path: Path) -> dict[str, dict[str, _Line]]:
    """Query → docid → what the run says of it, in the file's order."""
    found: dict[str, dict[str, _Line]] = {}
    for number, text in numbered_lines(path):
        if not text.strip():
            continue
        query_id, docid, line = _parse(text, number, f"{path} line {number}")
        if docid in found.setdefault(query_id, {}):
            raise InputError(f"{path} line {number}: {docid} is ranked twice for query {query_id}")
        found[query_id][docid] = line
    if not found:
        raise InputError(f"run {path} is empty")
    return found


def _parse(line: str, number: int, place: str) -> tuple[str, str, _Line]:
    fields = line.split()
    if len(fields) != 6:
        raise InputError(f"{place}: {len(fields)} fields; a TREC run has 6: query Q0 docid rank score tag")
    query_id, _, docid, rank, score, _ = fields
    if not _SCORE.fullmatch(score) or not math.isfinite(float(score)):
        raise InputError(f"{place}: the score {_short(score)} is not a finite number")
    return (
        checked_id(query_id, place),
        checked_id(docid, place),
        _Line(number, int(rank) if _RANK.fullmatch(rank) else None, float(score)),
    )


def _short(number: str) -> str:
    return repr(number if len(number) <= SHOWN else f"{number[:SHOWN]}...")
