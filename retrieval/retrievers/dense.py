"""Dense retrieval: a Faiss index of passage embeddings, rows in the passage store's order."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.nn.functional import normalize

from retrieval.batches import batched
from retrieval.device import best_device, dtype_of, load_encoder, quantize_if_int8
from retrieval.model_files import model_path
from retrieval.passage_store import PassageStore
from retrieval.records import Hit, Passage
from retrieval.retrievers.encoded_shards import EncodedShards, VectorFormat, shards_folder
from retrieval.retrievers.faiss_index import FLAT, open_faiss_index, require_room, write_faiss_index
from retrieval.retrievers.ready_index import Rows
from retrieval.retrievers.text_batches import TextBatches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MAX_LENGTH = 512
MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Queries that are compared at once with all passages, which are read once for all of them.
QUERY_BATCH = 1024
NUMPY: VectorFormat[np.ndarray] = VectorFormat(".npy", np.save, functools.partial(np.load, mmap_mode="r"))


class Encoder(Protocol):
    """A bi-encoder. Vectors are (num_texts, dimension) float32; their inner product is the score."""

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of passages."""
        ...

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of queries."""
        ...


class CosineEncoder:
    """One `model` of sentence-transformers for queries and passages, its vectors normalised. `dtype`: one of
    `device.DTYPES`, by default the library's."""

    def __init__(self, name_or_path: str, dtype: str = "") -> None:
        # Imported where it is needed: it takes seconds, and most commands do without.
        from sentence_transformers import SentenceTransformer

        from modeling_twolar.packed_bert import can_be_packed

        device = best_device()
        # Without a GPU of CUDA's, the library looks for others.
        own = str(device) if device.type == "cuda" else None
        self.model = SentenceTransformer(model_path(name_or_path), device=own)
        if dtype:
            self.model.to(dtype_of(dtype))
        backbone = self.model[0].auto_model
        quantize_if_int8(backbone, dtype)
        self._batches = TextBatches(self.model.tokenizer, self.model.max_seq_length, self.model.device)
        self._is_bert = can_be_packed(backbone)

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`."""
        return self._batches.encoded(texts, self._encode_packed if self._is_bert else self._encode)

    def _encode(self, texts: list[str]) -> np.ndarray:
        return self.model.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )

    @torch.inference_mode()
    def _encode_packed(self, texts: list[str]) -> np.ndarray:
        """The library's own steps, but for the first one's model, which runs without padding where that is faster."""
        from modeling_twolar.packed_bert import last_hidden_state

        first, *others = self.model
        features = self.model.preprocess(texts)
        names = [name for name in MODEL_INPUTS if name in features]
        inputs = {name: features[name].to(self.model.device) for name in names}
        features = {**features, **inputs, "token_embeddings": last_hidden_state(first.auto_model, **inputs)}
        for step in others:
            features = step(features)
        return normalize(features["sentence_embedding"].float()).cpu().numpy()

    queries = passages


class DragonEncoder:
    """DRAGON: one BERT for queries and one for passages, the [CLS] token's vector, not normalised.

    Source: Lin et al., "How to Train Your DRAGON: Diverse Augmentation Towards Generalizable Dense Retrieval",
    arXiv 2302.07452; both models share a tokenizer.
    """

    def __init__(self, context_encoder: str, query_encoder: str, dtype: str = "") -> None:
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(context_encoder)
        self._context, self._query = (
            load_encoder(AutoModel, name, dtype) for name in (context_encoder, query_encoder)
        )
        self._batches = TextBatches(self._tokenizer, MAX_LENGTH, best_device())

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`."""
        return self._batches.encoded(texts, functools.partial(self._encode, self._context))

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """See `Encoder`."""
        return self._batches.encoded(texts, functools.partial(self._encode, self._query))

    @torch.inference_mode()
    def _encode(self, model: "PreTrainedModel", texts: list[str]) -> np.ndarray:
        from modeling_twolar.packed_bert import last_hidden_state

        batch = self._tokenizer(
            texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(model.device)
        return last_hidden_state(model, **batch)[:, 0].float().cpu().numpy()


@functools.cache
def cosine_encoder(name_or_path: str, dtype: str = "") -> CosineEncoder:
    """A bi-encoder by Hub name or path; `all-MiniLM-L6-v2` comes with its PyPI package, no hub needed."""
    return CosineEncoder(name_or_path, dtype)


@functools.cache
def dragon_encoder(context_encoder: str, query_encoder: str, dtype: str = "") -> DragonEncoder:
    """DRAGON's two models, loaded once."""
    return DragonEncoder(context_encoder, query_encoder, dtype)


def dense_shards(
    passages: PassageStore, encoder: Encoder, index: Path, kind: str = FLAT
) -> EncodedShards[np.ndarray]:
    """The vectors, float32, that the Faiss index of this kind at `index` is made of.

    Raises:
        InputError: before anything is encoded, for an index that this machine has no room for.
    """
    dimension = encoder.passages([passages.at(0).contents]).shape[1]
    require_room(kind, len(passages), dimension, index)
    return EncodedShards(passages, shards_folder(index), NUMPY, encoder.passages, "encoding passages")


def build_faiss_index(passages: PassageStore, encoder: Encoder, path: Path, kind: str = FLAT) -> None:
    """Encode every passage (title and text) that is not encoded yet, and put all into an inner-product index at `path`.

    Args:
        kind: one of `faiss_index.KINDS`.

    Raises:
        InputError: see `dense_shards`.
    """
    shards = dense_shards(passages, encoder, path, kind)
    shards.encode_missing()
    write_faiss_index(shards, len(passages), path, kind)
    shards.delete()


class DenseRetriever:
    """Inner product over a Faiss index: DRAGON, or MiniLM's cosine, its offline stand-in. `rows`: of a passage store,
    where the index has its order."""

    def __init__(self, name: str, index_path: Path, encoder: Encoder, rows: Rows) -> None:
        self.name = name
        self._index = open_faiss_index(index_path)
        self._encoder = encoder
        self._rows = rows
        self._query_vector = functools.lru_cache(maxsize=1024)(self._encode_query)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` passages of highest inner product for each query."""
        return [hits for batch in batched(queries, QUERY_BATCH) for hits in self._search(batch, k)]

    def scores(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """Inner product of `query` with each of these passages of the index; of an `ivf_pq` index, whose vectors are
        compressed, about that."""
        rows = np.array(self._rows.rows([passage.docid for passage in passages]))
        products: list[float] = (self._index.reconstruct_batch(rows) @ self._query_vector(query)).tolist()
        return products

    def _search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        vectors = np.stack([self._query_vector(query) for query in queries])
        scores, rows = self._index.search(vectors, min(k, self._index.ntotal))
        return [
            self._hits(found[found >= 0].tolist(), best.tolist())
            for found, best in zip(rows, scores, strict=True)
        ]

    def _hits(self, rows: list[int], scores: list[float]) -> list[Hit]:
        # An approximate index may find fewer than k.
        return [
            Hit(docid, score)
            for docid, score in zip(self._rows.docids(rows), scores[: len(rows)], strict=True)
        ]

    def _encode_query(self, query: str) -> np.ndarray:
        return self._encoder.queries([query])[0]
