"""A judged collection: a folder in BEIR's layout, or one of Pyserini's by name."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.corpus import PYTHON_STDLIB
from dataset_builder.errors import InputError
from evaluation.prebuilt import PrebuiltCorpus
from evaluation.pyserini_tables import binary_cutoff, tabled_collections

Qrels = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Paths that take the place of what Pyserini would download: a Lucene index, topics, judgments."""

    index: Path | None = None
    topics: Path | None = None
    qrels: Path | None = None


@dataclass(frozen=True, slots=True)
class JudgedCollection:
    """`queries`: the judged ones, id → text. `qrels`: id → docid → grade.

    `corpus`: as `read_corpus` takes it, or Pyserini's. `relevant_from`: lowest grade that MRR, MAP and R count
    as relevant by this collection's convention. `sha256`: of queries and judgments.
    """

    name: str
    queries: dict[str, str]
    qrels: Qrels
    corpus: str | PrebuiltCorpus
    sha256: str
    relevant_from: int = 1


def is_prebuilt(name: str) -> bool:
    """Whether `name` is a collection of Pyserini's tables, and not a folder here."""
    return name in tabled_collections() and not Path(name).is_dir()


def load_prebuilt(name: str, local: LocalFiles, limit: int | None) -> JudgedCollection:
    """A collection of Pyserini's tables (`dl19`, `scifact`, ...); downloads what is not in its cache.

    Args:
        limit: only the first so many judged queries.

    Raises:
        InputError: for a file that cannot be downloaded or used.
    """
    tabled = tabled_collections()[name]
    corpus = PrebuiltCorpus(tabled, local.index)
    texts = _read_topics(local.topics) if local.topics else corpus.topics()
    qrels = _read_trec_qrels(local.qrels or corpus.qrels_path())
    judged = [query_id for query_id in qrels if query_id in texts][:limit]
    if not judged:
        raise InputError(f"{name}: no topic is judged; --topics and --qrels must belong together")
    queries = {query_id: texts[query_id] for query_id in judged}
    grades = {query_id: qrels[query_id] for query_id in judged}
    digest = hashlib.sha256(json.dumps([queries, grades]).encode()).hexdigest()
    return JudgedCollection(name, queries, grades, corpus, digest, binary_cutoff(tabled.qrels))


def load_collection(
    folder: Path, split: str, corpus: str | None, limit: int | None, name: str | None = None
) -> JudgedCollection:
    """Read `queries.jsonl` and `qrels/{split}.tsv` of `folder`.

    Args:
        name: what tables call it; by default the folder's name and the split.
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
        name=name or f"{folder.resolve().name} ({split})",
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
            query_id, text = str(row["_id"]), row["text"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f'{place}: expected an object with "_id" and "text"') from error
        if not isinstance(text, str):
            raise InputError(f'{place}: "text" must be a string')
        queries[query_id] = text
    return queries


def _read_topics(path: Path) -> dict[str, str]:
    """Queries of a local file: BEIR's `.jsonl`, or a TREC topics file of `id <tab> text` lines."""
    if not path.is_file():
        raise InputError(f"topics {path} do not exist")
    if path.suffix == ".jsonl":
        return _read_queries(path)
    queries: dict[str, str] = {}
    for place, line in _lines(path):
        query_id, tab, text = line.partition("\t")
        if not tab:
            raise InputError(f"{place}: expected id, tab, query text")
        queries[query_id] = text
    return queries


def _read_trec_qrels(path: Path) -> Qrels:
    if not path.is_file():
        raise InputError(f"qrels {path} do not exist")
    qrels: Qrels = {}
    for place, line in _lines(path):
        try:
            query_id, _, docid, grade = line.split()
            qrels.setdefault(query_id, {})[docid] = int(grade)
        except ValueError as error:
            raise InputError(f"{place}: expected query-id, 0, docid and an integer grade") from error
    return qrels


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
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path} line {number}", line.rstrip("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} after line {number}: not UTF-8 text; convert it first") from error
