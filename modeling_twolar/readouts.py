"""Readouts: which vector of a backbone the scoring head sees.

A readout is a module: (backbone, input_ids, attention_mask, token_type_ids) → (batch, hidden_size).
"""

from typing import cast

import torch
from torch import nn
from transformers import BertForSequenceClassification, PreTrainedModel, T5Model

from .bi_encoder import BiEncoder, Comparison
from .configuration_twolar import TwolarConfig
from .packed_attention import is_plain, scores_alone
from .packed_bert import is_packed, last_hidden_state
from .packed_t5 import first_decoder_step
from .pooling import pool


class DecoderStep(nn.Module):
    """T5: the decoder's output at its first step, from the start token. TWOLAR's, monoT5's and RankT5's."""

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        if scores_alone(input_ids, self.training) and is_plain(backbone):
            return first_decoder_step(cast(T5Model, backbone), input_ids, attention_mask)
        start = torch.full_like(input_ids[:, :1], backbone.config.decoder_start_token_id)
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
        hidden = last_hidden_state(backbone, input_ids, attention_mask, token_type_ids)
        return pool(hidden, attention_mask, self.pooling)


class Classifier(nn.Module):
    """A trained cross-encoder's own score, (batch,): its one logit, or of two the second less the first.

    Two are monoBERT's (Nogueira and Cho, arXiv 1901.04085): the difference orders as their softmax does.
    """

    def forward(
        self,
        backbone: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None,
    ) -> torch.Tensor:
        logits = _logits(backbone, input_ids, attention_mask, token_type_ids).float()
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


def _logits(
    backbone: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    token_type_ids: torch.Tensor | None,
) -> torch.Tensor:
    if isinstance(backbone, BertForSequenceClassification) and is_packed(backbone.bert, input_ids):
        hidden = last_hidden_state(backbone.bert, input_ids, attention_mask, token_type_ids)
        return backbone.classifier(cast(nn.Module, backbone.bert.pooler)(hidden))
    segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
    return backbone(input_ids=input_ids, attention_mask=attention_mask, **segments).logits


def make_readout(config: TwolarConfig) -> nn.Module:
    """The readout that a configuration names."""
    if config.readout == "decoder_step":
        return DecoderStep()
    if config.readout == "classifier":
        return Classifier()
    if config.readout == "bi_encoder":
        return BiEncoder(
            Comparison(config.pooling, config.late_interaction, config.query_frame, config.passage_frame)
        )
    return Pooled(config.readout)
