"""BERT and RoBERTa on a CPU: real tokens only, laid end to end; attention looks at one text at a time.

Exact up to rounding. The memory that layers write to is taken once, not in every layer. In bf16, what sublayers add up
and what is normalised stays float32: that costs no time, and scores are nearer to fp32's.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn
from torch.nn.functional import layer_norm
from transformers import BertModel, PreTrainedModel, RobertaModel, XLMRobertaModel

from .lengths import first_position
from .packed_attention import attention_by_text, is_plain, scores_alone, slices
from .quantization import project
from .smoothing import CommonInput

PACKED = (BertModel, RobertaModel, XLMRobertaModel)
PACKED_DTYPES = (torch.float32, torch.bfloat16)
# Rows that all layers work on at a time: more fall out of the cache, fewer read the weights too often.
ROWS = 1024


def last_hidden_state(
    backbone: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    token_type_ids: torch.Tensor | None = None,
) -> torch.Tensor:
    """The backbone's hidden states, (batch, length, hidden_size), padding behind; packed where that is faster.

    Of padding they are zeros where packed, else the backbone's.
    """
    if is_packed(backbone, input_ids):
        return _packed(backbone, input_ids, attention_mask.bool(), token_type_ids)
    segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
    return backbone(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state


def is_packed(backbone: PreTrainedModel, input_ids: torch.Tensor) -> bool:
    """Whether this backbone, here and now, is run over real tokens only: a BERT's scoring on a CPU."""
    fits = scores_alone(input_ids, backbone.training) and backbone.dtype in PACKED_DTYPES
    return fits and can_be_packed(backbone)


def can_be_packed(backbone: nn.Module) -> bool:
    """Whether this module has the layers of a BERT, and no adapter around them."""
    return type(backbone) in PACKED and not cast(Any, backbone).config.is_decoder and is_plain(backbone)


def bert_common_inputs(backbone: nn.Module) -> Iterator[CommonInput]:
    """Linear layers that share an input, or have it from the values of attention: the others are given a norm's
    output, which is also added further on, or an activation's."""
    for layer in cast(Any, backbone).encoder.layer:
        itself = layer.attention.self
        yield CommonInput([itself.query, itself.key, itself.value])
        yield CommonInput([layer.attention.output.dense], itself.value)


def _packed(
    backbone: PreTrainedModel, input_ids: torch.Tensor, real: torch.Tensor, segments: torch.Tensor | None
) -> torch.Tensor:
    positions = real.long().cumsum(dim=1) - 1 + first_position(cast(Any, backbone).embeddings)
    segments = torch.zeros_like(input_ids) if segments is None else segments
    ids, kinds, places = (tensor[real][None] for tensor in (input_ids, segments, positions))
    rows = cast(Any, backbone).embeddings(input_ids=ids, token_type_ids=kinds, position_ids=places)[0].float()
    lengths = [length for length in real.sum(dim=1).tolist() if length]
    for own, own_lengths in slices(rows, lengths, ROWS):
        _encode(backbone, own, own_lengths)
    hidden = rows.new_zeros(*real.shape, rows.shape[1], dtype=backbone.dtype)
    hidden[real] = rows.to(backbone.dtype)
    return hidden


def _encode(backbone: PreTrainedModel, hidden: torch.Tensor, lengths: list[int]) -> None:
    """Turn the embeddings (tokens, hidden_size) float32 into the backbone's output, in their own memory."""
    size, heads = hidden.shape[1], backbone.config.num_attention_heads
    widest = max(3 * size, backbone.config.intermediate_size)
    wide = hidden.new_empty(len(hidden), widest, dtype=backbone.dtype)
    projected = wide[:, : 3 * size].split(size, dim=1)
    mixed, added = (torch.empty_like(hidden, dtype=backbone.dtype) for _ in range(2))
    texts = list(attention_by_text(projected, mixed, heads, lengths, scale=(size // heads) ** -0.5))
    for layer in cast(Any, backbone).encoder.layer:
        itself, output = layer.attention.self, layer.attention.output
        project([itself.query, itself.key, itself.value], hidden, projected)
        for text in texts:
            text.attend()
        _add_and_normalise(output, mixed, hidden, added)
        inner = wide[:, : layer.intermediate.dense.out_features]
        project([layer.intermediate.dense], hidden, [inner])
        _add_and_normalise(layer.output, layer.intermediate.intermediate_act_fn(inner), hidden, added)


def _add_and_normalise(output: Any, rows: torch.Tensor, hidden: torch.Tensor, room: torch.Tensor) -> None:
    """Add `rows` through the sublayer's last product to `hidden`, and normalise it."""
    norm = output.LayerNorm
    project([output.dense], rows, [room])
    hidden += room
    hidden.copy_(layer_norm(hidden, norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps))
