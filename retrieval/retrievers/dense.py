"""Dense retrieval: a Faiss index of passage embeddings, rows in the passage store's order."""

import functools
import math
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import faiss
import numpy as np
import torch
from tqdm import tqdm

from retrieval.batches import batched
from retrieval.device import best_device, best_dtype
from retrieval.model_files import model_path
from retrieval.passage_store import PassageStore
from retrieval.records import Hit, Passage

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ENCODING_BATCH = 512
DRAGON_BATCH = 32
MAX_LENGTH = 512
# HNSW: neighbours a vector. IVF: lists searched; about 4 sqrt(n) lists, trained on so many vectors a list.
HNSW_NEIGHBOURS = 32
IVF_PROBES = 32
IVF_TRAINING_VECTORS = 64


class Encoder(Protocol):
    """A bi-encoder. Vectors are (num_texts, dimension) float32; their inner product is the score."""

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages."""
        ...

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of queries."""
        ...


class CosineEncoder:
    """One model of sentence-transformers for queries and passages, its vectors normalised."""

    def __init__(self, name_or_path: str) -> None:
        # Imported where it is needed: it takes seconds, and most commands do without.
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(model_path(name_or_path))

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`."""
        return self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    queries = passages


class DragonEncoder:
    """DRAGON: one BERT for queries and one for passages, the [CLS] token's vector, not normalised.

    Source: Lin et al., "How to Train Your DRAGON: Diverse Augmentation Towards Generalizable Dense Retrieval",
    arXiv 2302.07452; both models share a tokenizer.
    """

    def __init__(self, context_encoder: str, query_encoder: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(context_encoder)
        self._context, self._query = (
            AutoModel.from_pretrained(name, dtype=best_dtype()).to(best_device()).eval()
            for name in (context_encoder, query_encoder)
        )

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`. Works on texts of similar length at a time."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = np.concatenate(
            [
                self._encode(self._context, [texts[index] for index in part])
                for part in batched(order, DRAGON_BATCH)
            ]
        )
        return vectors[np.argsort(order)]

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`."""
        return self._encode(self._query, texts)

    @torch.inference_mode()
    def _encode(self, model: "PreTrainedModel", texts: Sequence[str]) -> np.ndarray:
        batch = self._tokenizer(
            list(texts), truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(model.device)
        return model(**batch).last_hidden_state[:, 0].float().cpu().numpy()


@functools.cache
def cosine_encoder(name_or_path: str) -> CosineEncoder:
    """A bi-encoder by Hub name or path; `all-MiniLM-L6-v2` comes with its PyPI package, no hub needed."""
    return CosineEncoder(name_or_path)


@functools.cache
def dragon_encoder(context_encoder: str, query_encoder: str) -> DragonEncoder:
    """DRAGON's two models, loaded once."""
    return DragonEncoder(context_encoder, query_encoder)


def build_faiss_index(passages: PassageStore, encoder: Encoder, path: Path, kind: str = "flat") -> None:
    """Encode every passage (title and text) into an inner-product index at `path`, aside and renamed.

    Args:
        kind: `flat` (exact), `hnsw` or `ivf` (approximate, fast over millions).
    """
    index = _empty_index(kind, passages, encoder)
    with tqdm(total=len(passages), desc="encoding passages", unit="passage") as progress:
        for batch in batched(passages, ENCODING_BATCH):
            index.add(encoder.passages([passage.contents for passage in batch]))
            progress.update(len(batch))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    faiss.write_index(index, str(unfinished))
    os.replace(unfinished, path)


def _empty_index(kind: str, passages: PassageStore, encoder: Encoder) -> faiss.Index:
    rows = random.Random(0).sample(
        range(len(passages)), min(len(passages), _sample_size(kind, len(passages)))
    )
    sample = encoder.passages([passages.at(row).contents for row in rows])
    dimension = sample.shape[1]
    if kind == "flat":
        return faiss.IndexFlatIP(dimension)
    if kind == "hnsw":
        return faiss.IndexHNSWFlat(dimension, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, _num_lists(len(passages)), faiss.METRIC_INNER_PRODUCT
    )
    index.train(sample)
    index.nprobe = IVF_PROBES
    return index


def _num_lists(num_passages: int) -> int:
    return max(1, min(4 * math.isqrt(num_passages), num_passages // IVF_TRAINING_VECTORS))


def _sample_size(kind: str, num_passages: int) -> int:
    return IVF_TRAINING_VECTORS * _num_lists(num_passages) if kind == "ivf" else 1


class DenseRetriever:
    """Inner product over a Faiss index: DRAGON, or MiniLM's cosine, its offline stand-in."""

    def __init__(self, name: str, index_path: Path, encoder: Encoder, passages: PassageStore) -> None:
        self.name = name
        # The file is mapped, not read: tasks on one machine share it.
        self._index = faiss.read_index(str(index_path), faiss.IO_FLAG_MMAP_IFC)
        self._encoder = encoder
        self._passages = passages
        self._query_vector = functools.lru_cache(maxsize=1024)(self._encode_query)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` passages of highest inner product for each query."""
        vectors = np.stack([self._query_vector(query) for query in queries])
        scores, rows = self._index.search(vectors, min(k, self._index.ntotal))
        return [
            self._hits(found[found >= 0].tolist(), best.tolist())
            for found, best in zip(rows, scores, strict=True)
        ]

    def scores(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """Inner product of `query` with each of these passages of the index."""
        rows = self._passages.rows([passage.docid for passage in passages])
        vectors = np.stack([self._index.reconstruct(row) for row in rows])
        products: list[float] = (vectors @ self._query_vector(query)).tolist()
        return products

    def _hits(self, rows: list[int], scores: list[float]) -> list[Hit]:
        # An approximate index may find fewer than k.
        return [
            Hit(docid, score)
            for docid, score in zip(self._passages.docids(rows), scores[: len(rows)], strict=True)
        ]

    def _encode_query(self, query: str) -> np.ndarray:
        return self._encoder.queries([query])[0]
