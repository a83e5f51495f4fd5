"""A judged collection in BEIR's layout: queries, judgments and, there or elsewhere, a corpus."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.corpus import PYTHON_STDLIB
from dataset_builder.errors import InputError

Qrels = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class JudgedCollection:
    """`queries`: the judged ones, id → text. `qrels`: id → docid → grade. `corpus`: as `read_corpus` takes it."""

    name: str
    queries: dict[str, str]
    qrels: Qrels
    corpus: str
    sha256: str


def load_collection(folder: Path, split: str, corpus: str | None, limit: int | None) -> JudgedCollection:
    """Read `queries.jsonl` and `qrels/{split}.tsv` of `folder`.

    Args:
        corpus: where the passages are; by default the folder itself.
        limit: only the first so many judged queries.

    Raises:
        InputError: for a missing file or a line that cannot be used.
    """
    queries_path, qrels_path = folder / "queries.jsonl", folder / "qrels" / f"{split}.tsv"
    for path in (queries_path, qrels_path):
        if not path.is_file():
            raise InputError(f"collection {folder} has no {path.relative_to(folder)}")
    qrels, texts = _read_qrels(qrels_path), _read_queries(queries_path)
    missing = next((query_id for query_id in qrels if query_id not in texts), None)
    if missing is not None:
        raise InputError(f"{qrels_path} judges query {missing!r}, which {queries_path} has not")
    judged = list(qrels)[:limit]
    return JudgedCollection(
        name=f"{folder.resolve().name} ({split})",
        queries={query_id: texts[query_id] for query_id in judged},
        qrels={query_id: qrels[query_id] for query_id in judged},
        corpus=corpus or _corpus_of(folder),
        sha256=hashlib.sha256(queries_path.read_bytes() + qrels_path.read_bytes()).hexdigest(),
    )


def _corpus_of(folder: Path) -> str:
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if (folder / name).is_file():
            return str(folder / name)
    raise InputError(
        f"collection {folder} has no corpus.jsonl[.gz]; say where it is with --corpus, e.g. {PYTHON_STDLIB}"
    )


def _read_queries(path: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for place, line in _lines(path):
        try:
            row = json.loads(line)
            queries[str(row["_id"])] = row["text"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f'{place}: expected an object with "_id" and "text"') from error
    return queries


def _read_qrels(path: Path) -> Qrels:
    qrels: Qrels = {}
    for place, line in _lines(path):
        fields = line.split("\t")
        if fields[0] == "query-id":
            continue
        try:
            query_id, docid, grade = fields
            qrels.setdefault(query_id, {})[docid] = int(grade)
        except ValueError as error:
            raise InputError(
                f"{place}: expected query-id, corpus-id and an integer score, by tabs"
            ) from error
    if not qrels:
        raise InputError(f"{path} holds no judgment")
    return qrels


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path} line {number}", line.rstrip("\n")
