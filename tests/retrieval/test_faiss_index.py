"""Faiss indexes over vectors where approximate ones are not exact."""

from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from retrieval.retrievers import faiss_index
from retrieval.retrievers.dense import DenseRetriever
from retrieval.retrievers.faiss_index import KINDS, require_room, room_needed, write_faiss_index

NUM_VECTORS, DIMENSION, DEPTH = 10_000, 48, 20
LEAST_RECALL = {"hnsw": 0.9, "ivf": 0.7, "ivf_pq": 0.4}


class Queries:
    """Query number → its vector."""

    def __init__(self, vectors):
        self._vectors = vectors

    def queries(self, texts):
        return self._vectors[[int(text) for text in texts]]

    passages = queries


@pytest.fixture(scope="module")
def vectors():
    """Passages' vectors around 300 centres, and queries' anywhere."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, DIMENSION))
    own = centres[rng.integers(300, size=NUM_VECTORS)] + rng.normal(size=(NUM_VECTORS, DIMENSION))
    asked = rng.normal(size=(50, DIMENSION))
    return own.astype(np.float32), asked.astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    passages = (Passage(f"p{number}", "", str(number)) for number in range(NUM_VECTORS))
    return PassageStore.build(tmp_path_factory.mktemp("store") / "passages.sqlite", passages)


@pytest.fixture(scope="module")
def retrievers(vectors, store, tmp_path_factory):
    own, asked = vectors
    folder = tmp_path_factory.mktemp("indexes")
    shards = np.array_split(own, 7)
    for kind in KINDS:
        write_faiss_index(shards, NUM_VECTORS, folder / kind, kind)
    return {kind: DenseRetriever("dense", folder / kind, Queries(asked), store) for kind in KINDS}


@pytest.fixture(scope="module")
def found(retrievers):
    asked = [str(number) for number in range(50)]
    return {kind: retriever.search(asked, DEPTH) for kind, retriever in retrievers.items()}


def test_a_flat_file_is_the_one_that_faiss_writes(vectors, tmp_path):
    write_faiss_index(np.array_split(vectors[0], 7), NUM_VECTORS, tmp_path / "ours", "flat")
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(vectors[0])
    faiss.write_index(index, str(tmp_path / "faiss"))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "faiss").read_bytes()


def test_flat_finds_the_highest_inner_products(vectors, found):
    own, asked = vectors
    for query, hits in zip(asked, found["flat"], strict=True):
        best = np.argsort(-(own @ query))[:DEPTH]
        assert [hit.docid for hit in hits] == [f"p{row}" for row in best]


@pytest.mark.parametrize("kind", LEAST_RECALL)
def test_approximate_indexes_find_most_and_not_all(found, kind):
    exact, own = (
        {(number, hit.docid) for number, hits in enumerate(found[name]) for hit in hits}
        for name in ("flat", kind)
    )
    assert LEAST_RECALL[kind] <= len(exact & own) / len(exact) < 1


@pytest.mark.parametrize(
    ("kind", "tolerance"), [("flat", 1e-4), ("hnsw", 1e-4), ("ivf", 1e-4), ("ivf_pq", 12)]
)
def test_each_kind_scores_given_passages(vectors, store, retrievers, kind, tolerance):
    own, asked = vectors
    rows = [3, 9_999, 0, 700]
    scores = retrievers[kind].scores("7", [store.at(row) for row in rows])
    np.testing.assert_allclose(scores, own[rows] @ asked[7], atol=tolerance)


def test_queries_are_searched_in_batches(retrievers, found, monkeypatch):
    monkeypatch.setattr("retrieval.retrievers.dense.QUERY_BATCH", 24)
    again = retrievers["flat"].search([str(number) for number in range(50)], DEPTH)
    assert [[hit.docid for hit in hits] for hits in again] == [
        [hit.docid for hit in hits] for hits in found["flat"]
    ]


def test_an_index_without_room_is_refused_with_what_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(faiss_index, "machine_memory", lambda: 16 * 2**30)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e12))
    require_room("flat", 8_841_823, 768, tmp_path / "index")
    with pytest.raises(
        InputError, match=r"hnsw of 8,841,823 vectors of 768 takes .* what fits: flat, ivf_pq"
    ):
        require_room("hnsw", 8_841_823, 768, tmp_path / "index")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e10))
    with pytest.raises(InputError, match=r"takes 0.0 GB of memory and 54.3 GB of disk.* has 10.0 GB free"):
        require_room("flat", 8_841_823, 768, tmp_path / "index")
    with pytest.raises(InputError, match="needs 9,984 passages to train on, and there are 9,000"):
        require_room("ivf_pq", 9_000, 768, tmp_path / "index")


def test_a_flat_index_takes_no_memory_of_its_vectors():
    assert room_needed("flat", 8_841_823, 768).memory == 0
    assert room_needed("ivf_pq", 8_841_823, 768).memory < 8e9 < room_needed("ivf", 8_841_823, 768).memory
