"""docT5query: queries that a T5 writes for a passage.

Source: Nogueira and Lin, "From doc2query to docTTTTTquery", 2019: top-k sampling, k = 10, from a T5 trained on MS
MARCO's queries and their passages.
"""

import random
from collections.abc import Sequence

import torch

from retrieval.device import best_device, best_dtype
from retrieval.language import ENGLISH
from retrieval.records import Passage
from retrieval.segmentation import first_words

TOP_K = 10
# Passages that are written for at once.
WRITING_BATCH = 32
MAX_PASSAGE_TOKENS = 512
MAX_QUERY_TOKENS = 64
MIN_QUERY_WORDS = 2


class DocT5Query:
    """Writes one query for each passage.

    The same passages in the same batches give the same queries; on another device they may differ.
    """

    def __init__(self, name_or_path: str, language: str = ENGLISH) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        self._language = language
        self._tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        model = AutoModelForSeq2SeqLM.from_pretrained(name_or_path, dtype=best_dtype())
        self._model = model.to(best_device()).eval()

    @torch.inference_mode()
    def __call__(self, passages: Sequence[Passage], rng: random.Random) -> list[str | None]:
        """A query for each passage; None where fewer than 2 words were written."""
        texts = [passage.contents for passage in passages]
        batch = self._tokenizer(
            texts, truncation=True, max_length=MAX_PASSAGE_TOKENS, padding=True, return_tensors="pt"
        ).to(self._model.device)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(rng.getrandbits(63))
            written = self._model.generate(
                **batch, do_sample=True, top_k=TOP_K, max_new_tokens=MAX_QUERY_TOKENS
            )
        queries = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        counted = [first_words(query, MAX_QUERY_TOKENS, self._language) for query in queries]
        return [query if num_words >= MIN_QUERY_WORDS else None for query, num_words in counted]
