"""SPLADE: sparse vectors over a vocabulary, from a masked language model, in a Lucene impact index.

Source: Formal et al., "SPLADE v2: Sparse Lexical and Expansion Model for Information Retrieval", arXiv 2109.10086:
a term's weight is the largest, over the text's tokens, of log(1 + relu(logit)).
"""

import functools
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from retrieval.batches import batched
from retrieval.device import best_device, best_dtype
from retrieval.passage_store import PassageStore
from retrieval.records import Hit
from retrieval.retrievers.lucene import SEARCH_THREADS, start_jvm

# Impacts are whole numbers: Anserini's and SPLADE's own factor.
QUANTIZATION_FACTOR = 100
MAX_LENGTH = 256
ENCODING_BATCH = 32
SORTING_WINDOW = 1024

SparseVector = dict[str, int]


class SpladeEncoder:
    """Encodes texts with any masked language model trained as SPLADE."""

    def __init__(self, name_or_path: str) -> None:
        from transformers import AutoModelForMaskedLM, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        model = AutoModelForMaskedLM.from_pretrained(name_or_path, dtype=best_dtype())
        self._model = model.to(best_device()).eval()
        ids = range(len(self._tokenizer))
        self._terms = [str(self._tokenizer.convert_ids_to_tokens(index)) for index in ids]
        self.encode_query = functools.lru_cache(maxsize=1024)(self._encode_query)

    @torch.inference_mode()
    def weights(self, texts: Sequence[str]) -> torch.Tensor:
        """Term weights of texts, (num_texts, vocabulary_size) float32 on the CPU."""
        batch = self._tokenizer(
            list(texts), truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
        ).to(self._model.device)
        logits = self._model(**batch).logits.float()
        return (torch.log1p(logits.relu()) * batch["attention_mask"][:, :, None]).amax(dim=1).cpu()

    def encode(self, texts: Sequence[str]) -> list[SparseVector]:
        """Impacts of the terms of each text: weights times 100, rounded; those that round to 0 are left out."""
        impacts = (self.weights(texts) * QUANTIZATION_FACTOR).round().int()
        return [self._sparse(row) for row in impacts]

    def _encode_query(self, text: str) -> SparseVector:
        return self.encode([text])[0]

    def _sparse(self, impacts: torch.Tensor) -> SparseVector:
        ids = impacts[: len(self._terms)].nonzero()[:, 0].tolist()
        return {self._terms[index]: int(impacts[index]) for index in ids}


@functools.cache
def splade_encoder(name_or_path: str) -> SpladeEncoder:
    """The model, loaded once."""
    return SpladeEncoder(name_or_path)


def build_impact_index(passages: PassageStore, encoder: SpladeEncoder, index_dir: Path) -> None:
    """Encode every passage (title and text) into a Lucene impact index, aside and renamed."""
    start_jvm()
    from pyserini.index.lucene import LuceneIndexer

    unfinished = index_dir.with_name(f"{index_dir.name}.unfinished")
    for folder in (unfinished, index_dir):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    flags = ["-index", str(unfinished), "-impact", "-pretokenized"]
    indexer = LuceneIndexer(args=flags, threads=SEARCH_THREADS)
    with tqdm(total=len(passages), desc="encoding with SPLADE", unit="passage") as progress:
        for documents in _impact_documents(passages, encoder):
            indexer.add_batch_dict(documents)
            progress.update(len(documents))
    indexer.close()
    os.replace(unfinished, index_dir)


def _impact_documents(passages: PassageStore, encoder: SpladeEncoder) -> Iterator[list[dict[str, str]]]:
    """Documents that hold each term as often as its impact says. Batches are of similar length."""
    for window in batched(passages, SORTING_WINDOW):
        window.sort(key=lambda passage: len(passage.contents))
        for batch in batched(window, ENCODING_BATCH):
            vectors = encoder.encode([passage.contents for passage in batch])
            yield [
                {"id": passage.docid, "contents": _repeated(vector)}
                for passage, vector in zip(batch, vectors, strict=True)
            ]


def _repeated(vector: SparseVector) -> str:
    return " ".join(" ".join([term] * impact) for term, impact in vector.items())


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
