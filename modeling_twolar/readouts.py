"""Readouts: which vector of a backbone the scoring head sees.

A readout is a module: (backbone, input_ids, attention_mask, token_type_ids) → (batch, hidden_size).
"""

from typing import cast

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import PretrainedConfig, PreTrainedModel, T5Model

from .packed_t5 import first_decoder_step, is_plain

# Between query and passage, attention starts almost closed: weights are multiplied by exp(-5) = 0.007.
CLOSED_GATE = -5.0


class DecoderStep(nn.Module):
    """T5: the decoder's output at its first step, from the start token. TWOLAR's, monoT5's and RankT5's."""

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        scores_alone = input_ids.device.type == "cpu" and not torch.is_grad_enabled() and not self.training
        if scores_alone and is_plain(cast(T5Model, backbone)):
            return first_decoder_step(cast(T5Model, backbone), input_ids, attention_mask)
        start = input_ids.new_full((len(input_ids), 1), backbone.config.decoder_start_token_id)
        output = backbone(
            input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=start, use_cache=False
        )
        return output.last_hidden_state[:, 0]


class Pooled(nn.Module):
    """Encoders and causal language models: the first token's, the last token's or the mean vector."""

    def __init__(self, pooling: str) -> None:
        super().__init__()
        self.pooling = pooling

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = backbone(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        if self.pooling == "mean":
            return masked_mean(hidden, attention_mask)
        if self.pooling == "first_token":
            return hidden[:, 0]
        positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
        last = (attention_mask * positions).argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]


class Segments(nn.Module):
    """A bi-encoder read as a cross-encoder that starts out as its own cosine and late interaction.

    Query and passage are two segments, each with its own [CLS] and its own positions. Attention from one
    to the other is multiplied by a learned gate, exp(`gate`) for each head, which starts almost closed: the
    backbone then sees two texts apart, as it was trained to, and training opens the gate as far as it helps.
    The head sees the sum of two elementwise products of normalised vectors: of both texts' means, and of each
    query token with the passage token most similar to it, averaged. A row of ones gives the cosine plus MaxSim
    (Khattab and Zaharia, "ColBERT", SIGIR 2020, arXiv 2004.12832).
    """

    def __init__(self, num_heads: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.full((num_heads,), CLOSED_GATE))

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        if token_type_ids is None:
            raise ValueError(
                "the segments readout needs token_type_ids; tokenize with the model's own tokenizer"
            )
        real = attention_mask.bool()
        hidden = backbone(
            input_ids=input_ids,
            token_type_ids=token_type_ids,
            position_ids=segment_positions(token_type_ids),
            attention_mask=self._attention_bias(token_type_ids, real),
        ).last_hidden_state
        is_query, is_passage = (real & (token_type_ids == segment) for segment in (0, 1))
        query, passage = masked_mean(hidden, is_query), masked_mean(hidden, is_passage)
        means = normalize(query, dim=-1) * normalize(passage, dim=-1)
        return means + late_interaction(normalize(hidden, dim=-1), is_query, is_passage)

    def _attention_bias(self, token_type_ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        same = token_type_ids[:, None, :, None] == token_type_ids[:, None, None, :]
        bias = torch.where(same, 0.0, self.gate[:, None, None])
        return bias.masked_fill(~real[:, None, None, :], torch.finfo(bias.dtype).min)


def segment_positions(token_type_ids: torch.Tensor) -> torch.Tensor:
    """Positions that begin at 0 in each segment: (batch, length) for segments 0...0 1...1."""
    positions = torch.arange(token_type_ids.shape[1], device=token_type_ids.device).expand_as(token_type_ids)
    query_length = (token_type_ids == 0).long().cumprod(dim=1).sum(dim=1, keepdim=True)
    return torch.where(positions < query_length, positions, positions - query_length)


def late_interaction(hidden: torch.Tensor, is_query: torch.Tensor, is_passage: torch.Tensor) -> torch.Tensor:
    """Mean over the query's tokens of each one's product with the passage token most similar to it.

    Args:
        hidden: (batch, length, hidden_size), of norm 1.
        is_query, is_passage: (batch, length); the query comes first, its [CLS] and [SEP] are not matched.

    Returns:
        (batch, hidden_size), whose sum is MaxSim over the query's length; 0 for an empty query.
    """
    query_lengths = is_query.sum(dim=1, keepdim=True)
    positions = torch.arange(int(query_lengths.max()), device=hidden.device)
    is_matched = (positions > 0) & (positions < query_lengths - 1)
    query = hidden[:, : len(positions)]
    similarity = (query @ hidden.transpose(1, 2)).masked_fill(~is_passage[:, None], -torch.inf)
    nearest = similarity.argmax(dim=2)[:, :, None].expand(query.shape)
    return masked_mean(query * hidden.gather(1, nearest), is_matched)


def masked_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of (batch, length, hidden_size) over the tokens of `mask`, (batch, length)."""
    weights = mask.to(hidden.dtype)[:, :, None]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def make_readout(name: str, backbone_config: PretrainedConfig) -> nn.Module:
    """The readout called `name`, one of `configuration_twolar.READOUTS`."""
    if name == "decoder_step":
        return DecoderStep()
    if name == "segments":
        return Segments(backbone_config.num_attention_heads)
    return Pooled(name)
