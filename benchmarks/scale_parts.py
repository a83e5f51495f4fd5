"""One part of `benchmarks.scale`, in a process of its own."""

import sys
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertForMaskedLM, BertModel, PreTrainedModel, PreTrainedTokenizerFast

from benchmarks.random_t5 import save_random_t5
from benchmarks.synthetic_corpus import synthetic_texts
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from retrieval.retrievers.dense import DenseRetriever, DragonEncoder, build_faiss_index
from retrieval.retrievers.faiss_index import open_faiss_index
from retrieval.retrievers.lucene import BM25, build_lucene_index
from retrieval.retrievers.ready_index import ready_lucene
from retrieval.retrievers.reranked import BM25Reranked, MonoT5
from retrieval.retrievers.splade import Splade, SpladeEncoder, build_impact_index
from tests.bert_tokenizer import as_bert

# SPLADE's passages have some 120 terms.
VOCABULARY, TERMS_A_PASSAGE = 8192, 120
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHAPE = {"num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 128}
SPLADE_SIZE, DRAGON_SIZE = 32, 256
QUERIES, DEPTH = 256, 30


def main() -> None:
    """Do the part that the arguments name."""
    part, size, words, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    if part == "store":
        texts = enumerate(synthetic_texts(size, words))
        PassageStore.build(
            folder / "passages.sqlite", (Passage(str(number), "", text) for number, text in texts)
        )
        return
    passages = PassageStore(folder / "passages.sqlite")
    if part == "bm25":
        build_lucene_index(passages, folder / part)
    elif part == "splade":
        build_impact_index(passages, _splade(folder, words), folder / part)
    elif part == "dragon":
        build_faiss_index(passages, _dragon(folder), folder / part)
    else:
        _search(passages, folder, words)


def _search(passages: PassageStore, folder: Path, words: int) -> None:
    for lucene in ("bm25", "splade"):
        ready_lucene(lucene, str(folder / lucene), len(passages))
    assert open_faiss_index(folder / "dragon").ntotal == len(passages)
    queries = [" ".join(text.split()[:6]) for text in islice(synthetic_texts(QUERIES, words), QUERIES)]
    bm25 = BM25(folder / "bm25")
    for retriever in (
        bm25,
        Splade(folder / "splade", _splade(folder, words)),
        DenseRetriever("dragon", folder / "dragon", _dragon(folder), passages),
        BM25Reranked("bm25_monot5", bm25, _monot5(folder), passages),
    ):
        found = retriever.search(queries, DEPTH)
        assert all(len(hits) == DEPTH for hits in found), retriever.name


def _splade(folder: Path, words: int) -> SpladeEncoder:
    path = folder / "splade-model"
    if not path.is_dir():
        model, tokenizer = BertForMaskedLM(_config(SPLADE_SIZE)), _tokenizer()
        sample = list(synthetic_texts(64, words))
        with torch.no_grad():
            logits = model(**tokenizer(sample, padding=True, return_tensors="pt")).logits.amax(dim=1)
            # As sparse as SPLADE's: only the highest logits are above 0.
            model.cls.predictions.bias -= logits.quantile(1 - TERMS_A_PASSAGE / VOCABULARY)
        _save(model, path)
    return SpladeEncoder(str(path))


def _dragon(folder: Path) -> DragonEncoder:
    path = folder / "dragon-model"
    if not path.is_dir():
        _save(BertModel(_config(DRAGON_SIZE)), path)
    return DragonEncoder(str(path), str(path))


def _monot5(folder: Path) -> MonoT5:
    path = folder / "monot5-model"
    save_random_t5(path, "tiny")
    return MonoT5(str(path))


def _config(hidden_size: int) -> BertConfig:
    torch.manual_seed(0)
    return BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden_size,
        initializer_range=0.5,
        **SHAPE,  # type: ignore[arg-type]
    )


def _save(model: PreTrainedModel, path: Path) -> None:
    model.save_pretrained(path)
    _tokenizer().save_pretrained(path)


def _tokenizer() -> PreTrainedTokenizerFast:
    pieces = [*SPECIAL, ".", *(f"w{rank}" for rank in range(VOCABULARY - len(SPECIAL) - 1))]
    backend = Tokenizer(
        models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token="[UNK]")
    )
    return as_bert(backend)


if __name__ == "__main__":
    main()
