"""T5's first decoder step on a CPU: real tokens only, and no key or value that one step does not need.

Two savings over `T5Model.forward`, both exact up to rounding:

- The encoder's matrix products run over the batch's real tokens, laid end to end; only attention looks at
  one pair at a time.
- For one decoder position with vector q, cross-attention over the encoder's vectors h needs no matrix of
  keys and values: q·(W_k h) = (W_kᵀ q)·h, and the sum of a·(W_v h) is W_v applied to the sum of a·h. That is
  a seventh of all multiplications at flan-t5-base's shape.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any, cast

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers.activations import NewGELUActivation
from transformers.models.t5.modeling_t5 import (
    T5Attention,
    T5DenseActDense,
    T5DenseGatedActDense,
    T5LayerNorm,
    T5Model,
    T5Stack,
)

from .packed_attention import attention_by_text, slices
from .quantization import Int8Linear, project
from .smoothing import CommonInput

# Rows of an activation that are worked on at a time, so that they stay in the cache.
CACHED_ROWS = 128
# Rows that the encoder works on at a time; matrix products of more rows are not faster, only larger.
ENCODER_ROWS = 3200


def first_decoder_step(
    backbone: T5Model, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """The decoder's output at its first step, (batch, d_model), of a `T5Model` in evaluation mode."""
    real = attention_mask.bool()
    encoded = backbone.shared(input_ids[real])
    lengths = real.sum(dim=1).tolist()
    _encode(backbone.encoder, encoded, lengths)
    start = backbone.shared.weight[backbone.config.decoder_start_token_id]
    return _decode(backbone.decoder, start.expand(len(lengths), -1), encoded, lengths)


def t5_common_inputs(encoder: T5Stack) -> Iterator[CommonInput]:
    """The encoder's linear layers by what they are given: a norm's output, attention's values, a gated product."""
    for block in encoder.block:
        attention, dense = _layers(block)
        itself, inner = attention.SelfAttention, dense.DenseReluDense
        yield CommonInput([itself.q, itself.k, itself.v], attention.layer_norm)
        yield CommonInput([itself.o], itself.v)
        if isinstance(inner, T5DenseActDense):
            yield CommonInput([inner.wi], dense.layer_norm)
        else:
            yield CommonInput([inner.wi_0, inner.wi_1], dense.layer_norm)
            yield CommonInput([inner.wo], inner.wi_1)


def _encode(encoder: T5Stack, hidden: torch.Tensor, lengths: list[int]) -> None:
    """Turn the embeddings (tokens, d_model) into the encoder's output, in their own memory."""
    first = _layers(encoder.block[0])[0].SelfAttention
    bias = first.compute_bias(max(lengths), max(lengths))[0].contiguous()
    parts = list(slices(hidden, lengths, ENCODER_ROWS))
    room = _Room.of(encoder, hidden, max(len(rows) for rows, _ in parts))
    for rows, own in parts:
        *projected, mixed = room.matrices(len(rows), first.inner_dim, 4)
        pairs = list(attention_by_text(projected, mixed, first.n_heads, own, bias))
        for block in encoder.block:
            attention, dense = _layers(block)
            itself = attention.SelfAttention
            normal = _normalised(attention.layer_norm, rows, room.normal)
            project([itself.q, itself.k, itself.v], normal, projected)
            for pair in pairs:
                pair.attend()
            _add_projection(itself.o, mixed, rows, room)
            normal = _normalised(dense.layer_norm, rows, room.normal)
            _add_projection(
                dense.DenseReluDense.wo, _activated(dense.DenseReluDense, normal, room), rows, room
            )
        _normalised(encoder.final_layer_norm, rows, rows)


@dataclass(frozen=True, slots=True)
class _Room:
    """Memory that every layer uses again: given back to the system and taken anew, it costs a tenth of the time.

    `normal`: (rows, d_model). `wide`: flat, for four projections of all rows to all heads, or two to the
    feed-forward layer's size.
    """

    normal: torch.Tensor
    wide: torch.Tensor

    @classmethod
    def of(cls, stack: T5Stack, like: torch.Tensor, rows: int) -> "_Room":
        inner = stack.config.num_heads * stack.config.d_kv
        wide = like.new_empty(rows * max(4 * inner, 2 * stack.config.d_ff))
        return cls(like.new_empty(rows, like.shape[1]), wide)

    def matrices(self, rows: int, columns: int, count: int) -> Iterator[torch.Tensor]:
        """`count` matrices (rows, columns), one after the other in `wide`."""
        yield from self.wide[: count * rows * columns].view(count, rows, columns)


def _add_projection(linear: nn.Module, hidden: torch.Tensor, rows: torch.Tensor, room: _Room) -> None:
    """Add `hidden` through `linear` to `rows`."""
    if isinstance(linear, Int8Linear):
        project([linear], hidden, [room.normal[: len(rows)]])
        rows += room.normal[: len(rows)]
    else:
        rows.addmm_(hidden, cast(nn.Linear, linear).weight.T)


def _activated(dense: nn.Module, hidden: torch.Tensor, room: _Room) -> torch.Tensor:
    """The feed-forward layer up to its activation, (rows, d_ff)."""
    if isinstance(dense, T5DenseActDense):
        (out,) = room.matrices(len(hidden), dense.wi.out_features, 1)
        project([dense.wi], hidden, [out])
        return dense.act(out)
    gated = cast(T5DenseGatedActDense, dense)
    gate, wide = room.matrices(len(hidden), gated.wi_0.out_features, 2)
    project([gated.wi_0, gated.wi_1], hidden, [gate, wide])
    return _gated(gated.act, gate, wide)


def _decode(decoder: T5Stack, state: torch.Tensor, encoded: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    room = _Room.of(decoder, state, len(state))
    pairs = pad_sequence(encoded.split(lengths), batch_first=True)
    is_padding = torch.arange(pairs.shape[1]) >= torch.tensor(lengths)[:, None]
    for block in decoder.block:
        itself, cross, dense = _layers(block)
        # A single position attends to itself with weight one: what is left is its value.
        own_value = itself.SelfAttention.v(_normalised(itself.layer_norm, state, room.normal))
        state = state + itself.SelfAttention.o(own_value)
        normal = _normalised(cross.layer_norm, state, room.normal)
        state += _cross_attention(cross.EncDecAttention, normal, pairs, is_padding)
        normal = _normalised(dense.layer_norm, state, room.normal)
        _add_projection(dense.DenseReluDense.wo, _activated(dense.DenseReluDense, normal, room), state, room)
    return _normalised(decoder.final_layer_norm, state, state)


def _cross_attention(
    attention: T5Attention, state: torch.Tensor, pairs: torch.Tensor, is_padding: torch.Tensor
) -> torch.Tensor:
    heads = (attention.n_heads, attention.key_value_proj_dim)
    key, value = (linear.weight.unflatten(0, heads) for linear in (attention.k, attention.v))
    query = torch.einsum("bhk,hkd->bhd", attention.q(state).unflatten(1, heads), key)
    weights = (query @ pairs.mT).masked_fill_(is_padding[:, None], float("-inf")).softmax(dim=-1)
    return attention.o(torch.einsum("bhd,hkd->bhk", weights @ pairs, value).flatten(1))


def _gated(act: nn.Module, gate: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
    """act(gate) * hidden, written into `hidden`."""
    for rows, own_gate in zip(hidden.split(CACHED_ROWS), gate.split(CACHED_ROWS), strict=True):
        rows.mul_(_gelu(own_gate) if isinstance(act, NewGELUActivation) else act(own_gate))
    return hidden


def _gelu(hidden: torch.Tensor) -> torch.Tensor:
    """GELU's tanh approximation as x · sigmoid(2 sqrt(2/π) (x + 0.044715 x³)), faster than torch's kernel."""
    slope = 2 * sqrt(2 / pi)
    inner = torch.addcmul(hidden.new_tensor(slope), hidden, hidden, value=0.044715 * slope)
    return inner.mul_(hidden).sigmoid_().mul_(hidden)


def _normalised(norm: T5LayerNorm, hidden: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
    """`hidden`, normalised, in the first rows of `room`, which may be `hidden` itself."""
    norms = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
    scale = torch.rsqrt(norms.square_().div_(hidden.shape[-1]).add_(norm.variance_epsilon))
    return torch.mul(hidden, scale, out=room[: len(hidden)]).mul_(norm.weight)


def _layers(block: nn.Module) -> list[Any]:
    return list(cast(nn.ModuleList, block.layer))
