"""TREC run files: `query_id Q0 docid rank score tag`, the field's exchange format for rankings."""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from retrieval.errors import InputError
from retrieval.records import Hit

Run = dict[str, list[Hit]]


def read_run(path: Path) -> Run:
    """Each query's hits, in the order trec_eval sees: score descending, ties by docid descending.

    Raises:
        InputError: for a file that is not a run, with the line; or a passage ranked twice for a query.
    """
    if not path.is_file():
        raise InputError(f"run {path} does not exist")
    scores: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            query_id, docid, score = _fields(line, f"{path} line {number}")
            if docid in scores.setdefault(query_id, {}):
                raise InputError(f"{path} line {number}: {docid} is ranked twice for query {query_id}")
            scores[query_id][docid] = score
    if not scores:
        raise InputError(f"run {path} is empty")
    return {query_id: ordered(found) for query_id, found in scores.items()}


def load_ranking(path: str) -> Run:
    """A run file whose scores can be compared.

    Raises:
        InputError: for a file that is no run, or a score that is not a number.
    """
    run = read_run(Path(path))
    for query_id, hits in run.items():
        wrong = next((hit.docid for hit in hits if math.isnan(hit.score)), None)
        if wrong is not None:
            raise InputError(f"run {path}: the score of {wrong} for query {query_id} is not a number")
    return run


def read_ranked_run(path: Path) -> Run:
    """Each query's hits by their written rank: of a run whose order counts, not only its measures.

    Raises:
        InputError: as `read_run`; for a score that is not finite, a rank that is no number, or a score that is higher
            than one of a better rank.
    """
    run = {query_id: {hit.docid: hit for hit in hits} for query_id, hits in read_run(path).items()}
    lines: dict[str, list[tuple[int, int, str]]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            query_id, _, docid, rank, score, _ = line.split()
            if not math.isfinite(float(score)):
                raise InputError(f"{path} line {number}: the score {score!r} is not a finite number")
            try:
                lines.setdefault(query_id, []).append((int(rank), number, docid))
            except ValueError as error:
                raise InputError(f"{path} line {number}: the rank {rank!r} is not a whole number") from error
    return {query_id: _by_rank(path, ranks, run[query_id]) for query_id, ranks in lines.items()}


def _by_rank(path: Path, ranks: list[tuple[int, int, str]], hits: Mapping[str, Hit]) -> list[Hit]:
    """Hits by rank; those of one rank by score, then as they are written."""
    placed = sorted(ranks, key=lambda each: (each[0], -hits[each[2]].score, each[1]))
    for (better, _, above), (worse, number, below) in pairwise(placed):
        if hits[above].score < hits[below].score and better < worse:
            raise InputError(
                f"{path} line {number}: {below} has rank {worse} and a higher score than {above} of rank {better}; "
                "scores must fall with the rank"
            )
    return [hits[docid] for _, _, docid in placed]


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


def _fields(line: str, place: str) -> tuple[str, str, float]:
    fields = line.split()
    if len(fields) != 6:
        raise InputError(f"{place}: {len(fields)} fields; a TREC run has 6: query Q0 docid rank score tag")
    try:
        return fields[0], fields[2], float(fields[4])
    except ValueError as error:
        raise InputError(f"{place}: the score {fields[4]!r} is not a number") from error
