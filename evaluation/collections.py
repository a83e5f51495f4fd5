"""A judged collection: a folder in BEIR's layout, or one of Pyserini's by name."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.prebuilt import PrebuiltCorpus
from evaluation.pyserini_tables import binary_cutoff, tabled_collections
from retrieval.corpus import PYTHON_STDLIB
from retrieval.errors import InputError
from retrieval.judgments import Qrels, read_qrels
from retrieval.queries import read_queries


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
    `num_judged`: queries before a limit.
    """

    name: str
    queries: dict[str, str]
    qrels: Qrels
    corpus: str | PrebuiltCorpus
    sha256: str
    num_judged: int
    relevant_from: int = 1

    @property
    def may_ask_passages(self) -> bool:
        """Whether a passage of a query's id is that query: in BEIR's layout, and where Pyserini's command removes it.

        Elsewhere queries and passages are numbered apart (MS MARCO).
        """
        return not isinstance(self.corpus, PrebuiltCorpus) or self.corpus.removes_queries


def is_prebuilt(name: str) -> bool:
    """Whether `name` is a collection of Pyserini's tables, and not a folder here."""
    return name in tabled_collections() and not os.path.isdir(name)


def load_prebuilt(name: str, local: LocalFiles, limit: int | None) -> JudgedCollection:
    """A collection of Pyserini's tables (`dl19`, `scifact`, ...); downloads what is not in its cache.

    Args:
        limit: only the first so many judged queries.

    Raises:
        InputError: for a file that cannot be downloaded or used.
    """
    tabled = tabled_collections()[name]
    corpus = PrebuiltCorpus(tabled, local.index)
    texts = read_queries(local.topics) if local.topics else corpus.topics()
    qrels = read_qrels(local.qrels or corpus.qrels_path())
    all_judged = [query_id for query_id in qrels if query_id in texts]
    if not all_judged:
        raise InputError(f"{name}: no topic is judged; --topics and --qrels must belong together")
    judged = all_judged[:limit]
    queries = {query_id: texts[query_id] for query_id in judged}
    grades = {query_id: qrels[query_id] for query_id in judged}
    digest = hashlib.sha256(json.dumps([queries, grades]).encode()).hexdigest()
    return JudgedCollection(
        name, queries, grades, corpus, digest, len(all_judged), binary_cutoff(tabled.qrels)
    )


def load_collection(
    folder: Path, split: str, corpus: str | None, limit: int | None, name: str | None = None
) -> JudgedCollection:
    """Read `queries.jsonl` and `qrels/{split}.tsv` of `folder`, which may also end with `.gz`.

    Args:
        name: what tables call it; by default the folder's name and the split.
        corpus: where the passages are; by default the folder itself.
        limit: only the first so many judged queries.

    Raises:
        InputError: for a missing file or a line that cannot be used.
    """
    queries_path, qrels_path = _file_of(folder, "queries.jsonl"), _file_of(folder, f"qrels/{split}.tsv")
    qrels, texts = read_qrels(qrels_path), read_queries(queries_path)
    queries, grades = judged_queries(qrels, texts, limit, f"{qrels_path}", f"{queries_path}")
    return JudgedCollection(
        name=name or f"{folder.resolve().name} ({split})",
        queries=queries,
        qrels=grades,
        corpus=corpus or _corpus_of(folder),
        sha256=hashlib.sha256(queries_path.read_bytes() + qrels_path.read_bytes()).hexdigest(),
        num_judged=len(qrels),
    )


def judged_queries(
    qrels: Qrels, texts: Mapping[str, str], limit: int | None, judged_in: str, asked_in: str
) -> tuple[dict[str, str], Qrels]:
    """The texts and judgments of the first `limit` judged queries.

    Raises:
        InputError: for a query that is judged in one place, and has no text in the other.
    """
    missing = next((query_id for query_id in qrels if query_id not in texts), None)
    if missing is not None:
        raise InputError(f"{judged_in} judges query {missing!r}, which {asked_in} has not")
    judged = list(qrels)[:limit]
    queries = {query_id: texts[query_id] for query_id in judged}
    return queries, {query_id: qrels[query_id] for query_id in judged}


def _file_of(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if os.path.lexists(path):
            return path
    raise InputError(f"collection {folder} has no {name}")


def _corpus_of(folder: Path) -> str:
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if os.path.lexists(folder / name):
            return str(folder / name)
    raise InputError(
        f"collection {folder} has no corpus.jsonl[.gz]; say where it is with --corpus, e.g. {PYTHON_STDLIB}"
    )
