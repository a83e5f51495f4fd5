"""SPLADE: sparse vectors over a vocabulary, from a masked language model, in a Lucene impact index.

Source: Formal et al., "SPLADE v2: Sparse Lexical and Expansion Model for Information Retrieval", arXiv 2109.10086:
a term's weight is the largest, over the text's tokens, of log(1 + relu(logit)).
"""

import functools
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch import nn

from retrieval.device import load_encoder
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Hit
from retrieval.retrievers.encoded_shards import EncodedShards, VectorFormat, shards_folder
from retrieval.retrievers.jvm import start_jvm
from retrieval.retrievers.lucene import SEARCH_THREADS
from retrieval.retrievers.lucene_index import Document, ImpactWriter, impact_text, write_lucene_index
from retrieval.retrievers.text_batches import TextBatches

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Impacts are whole numbers: Anserini's and SPLADE's own factor.
QUANTIZATION_FACTOR = 100
MAX_LENGTH = 256
# Tokens whose logits over the whole vocabulary are held at once: 61 MiB of BERT's in fp32.
TOKENS_AT_ONCE = 512

SparseVector = dict[str, int]
CSR: VectorFormat[sparse.csr_matrix] = VectorFormat(
    ".npz", functools.partial(sparse.save_npz, compressed=False), sparse.load_npz
)


class SpladeEncoder:
    """Encodes texts with any masked language model trained as SPLADE."""

    def __init__(self, name_or_path: str, dtype: str = "") -> None:
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        self._model = load_encoder(AutoModelForMaskedLM, name_or_path, dtype)
        self._to_vocabulary = _cut_off_vocabulary(self._model, name_or_path)
        ids = range(len(self._tokenizer))
        self._terms = [str(self._tokenizer.convert_ids_to_tokens(index)) for index in ids]
        self._batches = TextBatches(self._tokenizer, MAX_LENGTH, self._model.device)
        self.encode_query = functools.lru_cache(maxsize=1024)(self._encode_query)

    @torch.inference_mode()
    def weights(self, texts: Sequence[str]) -> torch.Tensor:
        """Term weights of texts, (num_texts, vocabulary_size) float32 on the model's device."""
        batch = self._tokenizer(
            list(texts), truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(self._model.device)
        # What the model's last layer would turn into logits.
        hidden = self._model(**batch).logits
        return torch.log1p(self._largest_logits(hidden, batch["attention_mask"].bool()).float().relu())

    def _largest_logits(self, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Each term's largest logit over a text's tokens, (batch, vocabulary_size), or 0.

        log(1 + relu(logit)) grows with the logit, so that the largest weight is the largest logit's, and (batch,
        length, vocabulary_size) of logits are never held.
        """
        positions = max(1, TOKENS_AT_ONCE // len(hidden))
        largest: torch.Tensor | None = None
        for part, mask in zip(hidden.split(positions, dim=1), real.split(positions, dim=1), strict=True):
            logits = self._to_vocabulary(part).masked_fill_(~mask[:, :, None], 0.0).amax(dim=1)
            largest = logits if largest is None else torch.maximum(largest, logits)
        assert largest is not None
        return largest

    def encode(self, texts: Sequence[str]) -> list[SparseVector]:
        """Impacts of the terms of each text: weights times 100, rounded; those that round to 0 are left out."""
        return [dict(terms) for terms in self.terms(self.passages(texts))]

    def passages(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """The same as a matrix of (num_texts, number of terms) uint16, which `terms` reads."""
        batches = list(self._batches.of(texts))
        parts = [self._impacts([texts[index] for index in batch]) for batch in batches]
        return sparse.vstack(parts, format="csr")[np.argsort(np.concatenate(batches))]

    def terms(self, vectors: sparse.csr_matrix) -> Iterator[list[tuple[str, int]]]:
        """Terms and impacts of each row of `passages`."""
        for start, end in pairwise(vectors.indptr):
            ids, impacts = vectors.indices[start:end].tolist(), vectors.data[start:end].tolist()
            yield [(self._terms[index], impact) for index, impact in zip(ids, impacts, strict=True)]

    def _impacts(self, texts: list[str]) -> sparse.csr_matrix:
        weights = self.weights(texts)[:, : len(self._terms)]
        impacts = (weights * QUANTIZATION_FACTOR).round().int()
        rows, terms = impacts.nonzero(as_tuple=True)
        values = impacts[rows, terms].cpu().numpy().astype(np.uint16)
        return sparse.csr_matrix((values, (rows.cpu().numpy(), terms.cpu().numpy())), shape=impacts.shape)

    def _encode_query(self, text: str) -> SparseVector:
        return self.encode([text])[0]


def _cut_off_vocabulary(model: "PreTrainedModel", name: str) -> nn.Module:
    """Take the last layer, from hidden states to the vocabulary, out of a masked language model: its `logits` are that
    layer's input from now on."""
    last = model.get_output_embeddings()
    place = next((place for place, module in model.named_modules() if module is last), None)
    if place is None:
        raise InputError(f"--splade {name} has no layer over its vocabulary; give a masked language model")
    model.set_submodule(place, nn.Identity())
    return last


@functools.cache
def splade_encoder(name_or_path: str, dtype: str = "") -> SpladeEncoder:
    """The model, loaded once."""
    return SpladeEncoder(name_or_path, dtype)


def splade_shards(
    passages: PassageStore, encoder: SpladeEncoder, index_dir: Path
) -> EncodedShards[sparse.csr_matrix]:
    """The impacts that the index at `index_dir` is made of."""
    return EncodedShards(passages, shards_folder(index_dir), CSR, encoder.passages, "encoding with SPLADE")


def build_impact_index(passages: PassageStore, encoder: SpladeEncoder, index_dir: Path) -> None:
    """Encode every passage (title and text) that is not encoded yet, and put all into a Lucene impact index, aside and
    renamed. A passage without any impact is left out, as nothing finds it.

    Raises:
        InputError: where Lucene did not take all of them.
    """
    shards = splade_shards(passages, encoder, index_dir)
    shards.encode_missing()
    write_lucene_index(_documents(passages, shards, encoder), index_dir, ImpactWriter)
    shards.delete()


def _documents(
    passages: PassageStore, shards: EncodedShards[sparse.csr_matrix], encoder: SpladeEncoder
) -> Iterator[Document]:
    vectors = (terms for shard in shards for terms in encoder.terms(shard))
    for passage, terms in zip(passages, vectors, strict=True):
        yield passage.docid, impact_text(terms)


class Splade:
    """Inner product of sparse vectors over a Lucene impact index. Ties are broken by docid."""

    name = "splade"

    def __init__(self, index_dir: Path, encoder: SpladeEncoder) -> None:
        start_jvm()
        from pyserini.search.lucene import LuceneImpactSearcher

        # By default terms that all passages share are left out; the score is to be the inner product.
        self._searcher = LuceneImpactSearcher(str(index_dir), _Queries(encoder), min_idf=-1)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` best passages for each query."""
        query_ids = [str(number) for number in range(len(queries))]
        found = self._searcher.batch_search(list(queries), query_ids, k=k, threads=SEARCH_THREADS)
        return [[Hit(hit.docid, hit.score) for hit in found.get(query_id, [])] for query_id in query_ids]


class _Queries:
    """The query encoder in the form that Pyserini asks for."""

    def __init__(self, encoder: SpladeEncoder) -> None:
        self._encoder = encoder

    def encode(self, text: str) -> SparseVector:
        return self._encoder.encode_query(text)
