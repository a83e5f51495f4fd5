"""A long passage in windows that overlap by half: its score is the best of theirs.

Source: MaxP of Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", SIGIR
2019, arXiv 1905.09217.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase


def windows(text: str, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> list[str]:
    """`text` in pieces of at most `max_tokens` of its tokens, each beginning in the middle of the one before."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
        "offset_mapping"
    ]
    if len(spans) <= max_tokens:
        return [text]
    step = max(1, max_tokens // 2)
    starts = range(0, len(spans) - max_tokens + step, step)
    return [text[spans[start][0] : spans[min(start + max_tokens, len(spans)) - 1][1]] for start in starts]


def best_of_each(scores: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """The largest of each passage's scores, (num_passages,), of those of all windows, one passage after the other."""
    return torch.stack([own.amax() for own in scores.split(list(counts))]) if counts else scores
