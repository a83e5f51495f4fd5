"""A bi-encoder as a reranker: query and passage are encoded apart, and compared by cosine and late interaction.

Neither sees the other, so a passage's vectors can be computed once and kept. (Attention between the two, through a
gate that opens as training asks for it, was measured and brought nothing; see benchmarks/LOG.md.)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import PreTrainedModel

from .packed_bert import last_hidden_state
from .pooling import masked_mean, pool

QUERY_SEGMENT, PASSAGE_SEGMENT = 0, 1


class Texts(NamedTuple):
    """Tokens of texts, padded on the right: (num_texts, length) int64, and bool where they are real."""

    input_ids: torch.Tensor
    real: torch.Tensor


class TextVectors(NamedTuple):
    """A backbone's view of texts.

    `pooled`: (num_texts, hidden_size), of norm 1. `tokens`: (num_texts, length, hidden_size), of norm 1.
    `matched`: (num_texts, length) bool, the tokens that late interaction compares: all for a passage, a query's own
    without those that frame it.
    """

    pooled: torch.Tensor
    tokens: torch.Tensor
    matched: torch.Tensor

    def take(self, index: torch.Tensor) -> "TextVectors":
        """The vectors of these texts, (num_texts,) int64, of which one may come often."""
        return TextVectors(self.pooled[index], self.tokens[index], self.matched[index])


@dataclass(frozen=True)
class Comparison:
    """How a bi-encoder compares two texts.

    Args:
        pooling: `mean`, `first_token` or `last_token`, as the backbone was trained.
        late_interaction: whether tokens are compared too; without, the score is the library's cosine, scaled.
        query_frame: how many tokens stand before and after a query's own: [CLS] or an instruction, [SEP].
        passage_frame: the same of a passage.
    """

    pooling: str = "mean"
    late_interaction: bool = True
    query_frame: Sequence[int] = (1, 1)
    passage_frame: Sequence[int] = (1, 1)


class BiEncoder(nn.Module):
    """The elementwise product of two texts' pooled vectors, and of each query token with its nearest passage token.

    Both products are of normalised vectors, the second averaged over the query's tokens: a head of ones gives the
    cosine plus MaxSim (Khattab and Zaharia, "ColBERT", SIGIR 2020, arXiv 2004.12832).
    """

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self.pooling = comparison.pooling
        self.late_interaction = comparison.late_interaction
        self.query_frame = comparison.query_frame
        self.passage_frame = comparison.passage_frame

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        if token_type_ids is None:
            raise ValueError(
                "a bi-encoder needs token_type_ids, which tell query from passage; tokenize with the model's own "
                "tokenizer"
            )
        real = attention_mask.bool()
        queries = texts_where(real & (token_type_ids == QUERY_SEGMENT), input_ids)
        passages = texts_where(real & (token_type_ids == PASSAGE_SEGMENT), input_ids)
        if torch.jit.is_tracing() or torch.compiler.is_compiling():  # no rows that depend on what they hold
            query_vectors = self.encode(backbone, queries, is_query=True)
        else:
            distinct, which = distinct_texts(queries)
            query_vectors = self.encode(backbone, distinct, is_query=True).take(which)
        return self.compare(query_vectors, self.encode(backbone, passages, is_query=False))

    def encode(self, backbone: PreTrainedModel, texts: Texts, is_query: bool) -> TextVectors:
        """What `compare` takes, of whole texts with the tokens that frame them."""
        hidden = last_hidden_state(backbone, texts.input_ids, texts.real.long())
        # A text without tokens is like nothing.
        hidden = hidden.masked_fill(~texts.real[:, :, None], 0.0)
        pooled = normalize(pool(hidden, texts.real, self.pooling), dim=-1)
        matched = self._own_tokens(texts.real) if is_query else texts.real
        return TextVectors(pooled, normalize(hidden, dim=-1), matched)

    def compare(self, queries: TextVectors, passages: TextVectors) -> torch.Tensor:
        """(num_pairs, hidden_size) of as many queries as passages; 0 where both are empty: their frames are alike."""
        products = queries.pooled * passages.pooled
        if self.late_interaction:
            products = products + late_interaction(queries, passages)
        framed_nothing = passages.matched.sum(dim=1) <= sum(self.passage_frame)
        return products.masked_fill((framed_nothing & ~queries.matched.any(dim=1))[:, None], 0.0)

    def _own_tokens(self, real: torch.Tensor) -> torch.Tensor:
        before, after = self.query_frame
        positions = torch.arange(real.shape[1], device=real.device)
        return (positions >= before) & (positions < real.sum(dim=1, keepdim=True) - after)


def late_interaction(queries: TextVectors, passages: TextVectors) -> torch.Tensor:
    """Mean over the query's tokens of each one's product with the passage token most similar to it.

    Returns:
        (num_pairs, hidden_size), whose sum is MaxSim over the query's length; 0 for an empty query.
    """
    similarity = queries.tokens @ passages.tokens.transpose(1, 2)
    nearest = similarity.masked_fill(~passages.matched[:, None], -torch.inf).argmax(dim=2)
    nearest_tokens = passages.tokens.gather(1, nearest[:, :, None].expand(queries.tokens.shape))
    return masked_mean(queries.tokens * nearest_tokens, queries.matched)


def texts_where(chosen: torch.Tensor, input_ids: torch.Tensor) -> Texts:
    """The chosen tokens of each row, in order, moved to its beginning."""
    lengths, places = chosen.sum(dim=1), torch.arange(chosen.shape[1], device=chosen.device)
    # A compiled graph's shapes depend on no values.
    longest = chosen.shape[1] if torch.compiler.is_compiling() else lengths.max().clamp(min=1)
    # Keys that differ: no sort has to be stable.
    first = (places + (~chosen) * chosen.shape[1]).argsort(dim=1)[:, :longest]
    return Texts(input_ids.gather(1, first), places[: first.shape[1]] < lengths[:, None])


def distinct_texts(texts: Texts) -> tuple[Texts, torch.Tensor]:
    """Each text once, and for each row which of them it is: a list of passages shares its query."""
    rows = texts.input_ids.masked_fill(~texts.real, -1)
    distinct, which = rows.unique(dim=0, return_inverse=True)
    return Texts(distinct.clamp(min=0), distinct >= 0), which
