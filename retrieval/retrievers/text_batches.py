"""Texts in batches that fill a device: of similar length, and of so many tokens."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# More do not pay there.
CPU_BATCH_TOKENS = 4096
# How many texts are tokenized at once.
TOKENIZED_AT_ONCE = 1024


class TextBatches:
    """Cuts texts into batches for a model on `device`, whose inputs have at most `max_length` tokens."""

    def __init__(
        self, tokenizer: "PreTrainedTokenizerBase", max_length: int | None, device: torch.device
    ) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._batch_tokens = batch_tokens(device)

    def of(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Indices of texts that share a batch, of at most `batch_tokens` padded tokens, longest texts first."""
        # Imported where it is needed: it takes seconds, and most commands do without.
        from modeling_twolar.scoring import token_budget_batches

        return token_budget_batches(self._lengths(texts), self._batch_tokens)

    def encoded(self, texts: Sequence[str], encode: Callable[[list[str]], np.ndarray]) -> np.ndarray:
        """What `encode` gives of all texts, batch by batch: (num_texts, dimension), in the order of `texts`."""
        batches = list(self.of(texts))
        vectors = np.concatenate([encode([texts[index] for index in batch]) for batch in batches])
        return vectors[np.argsort(np.concatenate(batches))]

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        starts = range(0, len(texts), TOKENIZED_AT_ONCE)
        parts = (list(texts[start : start + TOKENIZED_AT_ONCE]) for start in starts)
        return [length for part in parts for length in self._lengths_of(part)]

    def _lengths_of(self, texts: list[str]) -> list[int]:
        tokens = self._tokenizer(texts, truncation=True, max_length=self._max_length)
        return [len(ids) for ids in tokens["input_ids"]]


def batch_tokens(device: torch.device) -> int:
    """How many padded tokens fill `device`: of a GPU, one for each MiB of its memory, which leaves room for logits."""
    if device.type != "cuda":
        return CPU_BATCH_TOKENS
    return int(torch.cuda.get_device_properties(device).total_memory) // 2**20
