"""Texts of different lengths laid end to end: which rows are whose, and attention within each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn


def is_plain(backbone: nn.Module) -> bool:
    """Whether no layer has a PEFT adapter around it, which a packed way would pass by."""
    return not any(hasattr(module, "base_layer") for module in backbone.modules())


def scores_alone(input_ids: torch.Tensor, is_training: bool) -> bool:
    """Whether a packed way fits: on a CPU, without gradients, and not on the way to another format."""
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return (
        input_ids.device.type == "cpu" and not torch.is_grad_enabled() and not is_training and not is_traced
    )


def slices(
    hidden: torch.Tensor, lengths: Sequence[int], rows: int
) -> Iterator[tuple[torch.Tensor, list[int]]]:
    """The rows and lengths of a few whole texts at a time, in equal slices of about `rows` rows."""
    enough = len(hidden) / max(1, round(len(hidden) / rows))
    first, taken, own = 0, 0, []
    for length in lengths:
        own.append(length)
        taken += length
        if taken >= enough:
            yield hidden[first : first + taken], own
            first, taken, own = first + taken, 0, []
    if own:
        yield hidden[first:], own


@dataclass(frozen=True, slots=True)
class TextAttention:
    """One text's part of memory that all layers share, by head, so that its views are made once.

    `query`, `value`, `attended`: (heads, length, size). `key`: (heads, size, length). `bias`: as `scores`, or none.
    `scores`, `weights`: (heads, length, length). `mixed`: (length, heads, size).
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    bias: torch.Tensor | None
    scale: float
    scores: torch.Tensor
    weights: torch.Tensor
    attended: torch.Tensor
    mixed: torch.Tensor

    def attend(self) -> None:
        """At these lengths three plain products are faster than scaled_dot_product_attention."""
        bias, beta = (self.scores, 0) if self.bias is None else (self.bias, 1)
        torch.baddbmm(bias, self.query, self.key, beta=beta, alpha=self.scale, out=self.scores)
        torch.softmax(self.scores, dim=-1, out=self.weights)
        self.mixed.copy_(torch.bmm(self.weights, self.value, out=self.attended).transpose(0, 1))


def attention_by_text(
    projected: Sequence[torch.Tensor],
    mixed: torch.Tensor,
    num_heads: int,
    lengths: Sequence[int],
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> Iterator[TextAttention]:
    """Views of queries, keys and values in `projected` and of `mixed`, each (rows, inner), for each text."""
    longest = max(lengths)
    by_head = [rows.unflatten(1, (num_heads, -1)) for rows in (*projected, mixed)]
    squares = mixed.new_empty(2, num_heads * longest * longest)
    attended = mixed.new_empty(longest * mixed.shape[1])
    for start, length in spans(lengths):
        query, key, value, own = (rows[start : start + length] for rows in by_head)
        scores, weights = squares[:, : num_heads * length * length].view(2, num_heads, length, length)
        yield TextAttention(
            query=query.transpose(0, 1),
            key=key.permute(1, 2, 0),
            value=value.transpose(0, 1),
            bias=None if bias is None else bias[:, :length, :length],
            scale=scale,
            scores=scores,
            weights=weights,
            attended=attended[: length * mixed.shape[1]].view(num_heads, length, -1),
            mixed=own,
        )


def spans(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Start and length of each text's rows."""
    start = 0
    for length in lengths:
        yield start, length
        start += length
