"""The candidates that every reranker gets: from BM25 or another first stage, or from a run file."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.collections import JudgedCollection
from evaluation.own_passages import of_queries
from evaluation.prebuilt import PrebuiltCorpus
from evaluation.settings import BM25_NAME
from retrieval.corpus import corpus_files, read_corpus
from retrieval.errors import InputError
from retrieval.language import ENGLISH, language_of
from retrieval.model_revision import model_revision
from retrieval.passage_store import DuplicateDocid, PassageStore
from retrieval.records import Hit
from retrieval.retrievers import Retriever
from retrieval.retrievers.dense import DenseRetriever, build_faiss_index, cosine_encoder
from retrieval.retrievers.lucene import BM25, build_lucene_index
from retrieval.retrievers.splade import Splade, build_impact_index, splade_encoder
from retrieval.trec_run import Run, ordered, read_run

COSINE, SPLADE = "cosine:", "splade:"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The passages to rerank. `run`: each query's, in trec_eval's order. `texts`: docid → contents.

    `found`: the run before the passages that the collection lacks were left out.
    `num_own`: queries whose own passage was found and left out.
    """

    name: str
    run: Run
    texts: dict[str, str]
    found: Run
    num_own: int = 0

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Query id and docid of every candidate."""
        return [(query_id, hit.docid) for query_id, hits in self.run.items() for hit in hits]

    def pairs(self, queries: Mapping[str, str]) -> list[tuple[str, str]]:
        """The texts of `keys`, as a reranker takes them. `queries`: id → text."""
        return [(queries[query_id], self.texts[docid]) for query_id, docid in self.keys]

    @property
    def sha256(self) -> str:
        """Of queries' candidates and their texts: what exactly was reranked."""
        listed = [[query_id, [hit.docid for hit in hits]] for query_id, hits in self.run.items()]
        return hashlib.sha256(json.dumps([listed, sorted(self.texts.items())]).encode()).hexdigest()


def retrieve(
    collection: JudgedCollection, first_stage: str, top_k: int, work: Path, language: str = ""
) -> Candidates:
    """The best `top_k` passages of each judged query, without the query's own. Those of a run file that the collection
    lacks are left out.

    Args:
        first_stage: a run file; for a folder `bm25`, `cosine:BI-ENCODER` or `splade:MODEL`, for a collection of
            Pyserini's what `PrebuiltCorpus.search` takes.
        work: folder of indexes and stored passages, reused by a second call.
        language: of a folder's passages, for BM25; "" finds it from a sample.

    Raises:
        InputError: for a run that cannot be read, or that holds none of the queries or none of the passages.
    """
    passages = open_passages(collection, work)
    if isinstance(passages, PrebuiltCorpus):
        is_run = os.path.isfile(first_stage)
        run = read_run(Path(first_stage)) if is_run else _prebuilt(collection, first_stage, top_k, work)
    else:
        assert isinstance(collection.corpus, str)
        is_run = first_stage != BM25_NAME and not first_stage.startswith((COSINE, SPLADE))
        folder = work / _key(collection.corpus)
        if is_run:
            run = _folders_run(first_stage)
        else:
            retriever = _open(first_stage, passages, folder, language)
            run = _search(collection, retriever, top_k)
    others = of_queries(run, collection.queries, collection.may_ask_passages)
    found = {query_id: hits[:top_k] for query_id, hits in others.run.items() if hits}
    if not found:
        raise InputError(f"first stage {first_stage} has none of the queries of {collection.name}")
    name = Path(first_stage).stem if is_run else _model_name(first_stage)
    docids = list(dict.fromkeys(hit.docid for hits in found.values() for hit in hits))
    known = passages.known(docids) if is_run else docids
    if not known:
        raise InputError(f"first stage {first_stage} has none of the passages of {collection.name}")
    texts = {passage.docid: passage.contents for passage in passages.get(known)}
    kept = {query_id: [hit for hit in hits if hit.docid in texts] for query_id, hits in found.items()}
    run = {query_id: hits for query_id, hits in kept.items() if hits}
    return Candidates(name, run, texts, found, others.num_own)


def _prebuilt(collection: JudgedCollection, first_stage: str, top_k: int, work: Path) -> Run:
    assert isinstance(collection.corpus, PrebuiltCorpus)
    return collection.corpus.search(first_stage, collection.queries, top_k, work)


def open_passages(collection: JudgedCollection, work: Path) -> PassageStore | PrebuiltCorpus:
    """The passages of a collection; those of a corpus are stored below `work`, and found there by a second call.

    Raises:
        InputError: for a corpus that cannot be read.
    """
    corpus = collection.corpus
    if isinstance(corpus, PrebuiltCorpus):
        return corpus
    path = work / _key(corpus) / "passages.sqlite"
    try:
        return PassageStore(path) if path.is_file() else PassageStore.build(path, read_corpus(corpus))
    except DuplicateDocid as error:
        raise InputError(f"corpus {corpus}: {error}; ids must be unique") from error


def _folders_run(path: str) -> Run:
    if not os.path.isfile(path):
        raise InputError(
            f"run {path} does not exist; a folder's first stage is {BM25_NAME}, {COSINE}BI-ENCODER, {SPLADE}MODEL "
            "or a run file"
        )
    return read_run(Path(path))


def _search(collection: JudgedCollection, retriever: Retriever, top_k: int) -> Run:
    # One more than asked for: a query's own passage is among them, or else the last is cut before any reordering.
    hits = retriever.search(list(collection.queries.values()), top_k + 1)
    return {
        query_id: ordered({hit.docid: hit.score for hit in _kept(found, query_id, top_k)})
        for query_id, found in zip(collection.queries, hits, strict=True)
    }


def _kept(found: Sequence[Hit], query_id: str, top_k: int) -> Sequence[Hit]:
    has_own = any(hit.docid == query_id for hit in found)
    return found if has_own else found[:top_k]


def _model_name(first_stage: str) -> str:
    model = first_stage.removeprefix(COSINE).removeprefix(SPLADE)
    return Path(model).name if os.path.isdir(model) else model


def _open(first_stage: str, passages: PassageStore, folder: Path, language: str) -> Retriever:
    if first_stage == BM25_NAME:
        return _bm25(passages, folder, language or language_of(passages))
    if first_stage.startswith(SPLADE):
        return _splade(first_stage.removeprefix(SPLADE), passages, folder)
    return _dense(first_stage.removeprefix(COSINE), passages, folder)


def _splade(model: str, passages: PassageStore, folder: Path) -> Splade:
    index = folder / f"{model_revision(model)}.splade"
    encoder = splade_encoder(model)
    if not index.is_dir():
        build_impact_index(passages, encoder, index)
    return Splade(index, encoder)


def _bm25(passages: PassageStore, folder: Path, language: str) -> BM25:
    index = folder / ("lucene" if language == ENGLISH else f"lucene-{language}")
    if not index.is_dir():
        build_lucene_index(passages, index, language)
    return BM25(index, language)


def _dense(model: str, passages: PassageStore, folder: Path) -> DenseRetriever:
    index = folder / f"{model_revision(model)}.faiss"
    encoder = cosine_encoder(model)
    if not index.is_file():
        build_faiss_index(passages, encoder, index)
    return DenseRetriever(model, index, encoder, passages)


def _key(corpus: str) -> str:
    stats = [path.stat() for path in corpus_files(corpus) if path.is_file()]
    version = " ".join(f"{stat.st_size} {stat.st_mtime_ns}" for stat in stats)
    return hashlib.sha256(f"{corpus} {version}".encode()).hexdigest()[:16]
