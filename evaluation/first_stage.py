"""The candidates that every reranker gets: BM25 over the collection's corpus, or a run file."""

import hashlib
from pathlib import Path

from dataset_builder.corpus import read_corpus
from dataset_builder.errors import InputError
from dataset_builder.passage_store import PassageStore
from dataset_builder.retrievers.lucene import BM25, build_lucene_index
from dataset_builder.trec_run import Run, ordered, read_run
from evaluation.collections import JudgedCollection

BM25_NAME = "bm25"


def open_passages(collection: JudgedCollection, work: Path) -> PassageStore:
    """The collection's passages, stored under `work` at first use."""
    path = work / _key(collection) / "passages.sqlite"
    return PassageStore(path) if path.is_file() else PassageStore.build(path, read_corpus(collection.corpus))


def first_stage_run(
    collection: JudgedCollection, first_stage: str, passages: PassageStore, top_k: int, work: Path
) -> Run:
    """The best `top_k` passages of each judged query, in trec_eval's order.

    Raises:
        InputError: for a run that holds none of the queries.
    """
    run = (
        _bm25(collection, passages, top_k, work) if first_stage == BM25_NAME else read_run(Path(first_stage))
    )
    found = {query_id: run[query_id][:top_k] for query_id in collection.queries if run.get(query_id)}
    if not found:
        raise InputError(f"first stage {first_stage} has none of the queries of {collection.name}")
    return found


def _bm25(collection: JudgedCollection, passages: PassageStore, top_k: int, work: Path) -> Run:
    index = work / _key(collection) / "lucene"
    if not index.is_dir():
        build_lucene_index(passages, index)
    hits = BM25(index).search(list(collection.queries.values()), top_k)
    return {
        query_id: ordered({hit.docid: hit.score for hit in found})
        for query_id, found in zip(collection.queries, hits, strict=True)
    }


def _key(collection: JudgedCollection) -> str:
    path = Path(collection.corpus)
    version = f"{path.stat().st_size} {path.stat().st_mtime_ns}" if path.is_file() else ""
    return hashlib.sha256(f"{collection.corpus} {version}".encode()).hexdigest()[:16]
