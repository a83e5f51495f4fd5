"""Texts of different lengths laid end to end: which rows are whose, and attention within each of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention


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


class Products(NamedTuple):
    """Memory for attention as plain products, which texts use one after the other.

    `scores`, `weights`: (heads, length, length). `attended`: (heads, length, size).
    """

    scores: torch.Tensor
    weights: torch.Tensor
    attended: torch.Tensor

    def of_length(self, length: int) -> "Products":
        """The same memory, for a text of at most its length."""
        heads, _, size = self.attended.shape
        return Products(
            *(
                memory.flatten()[: heads * length * width].view(heads, length, width)
                for memory, width in zip(self, (length, length, size), strict=True)
            )
        )


@dataclass(frozen=True, slots=True)
class TextAttention:
    """One text's part of memory that all layers share, by head, so that its views are made once.

    `query`, `key`, `value`: (heads, length, size). `bias`: (heads, length, length), or none. `mixed`: (length, heads,
    size). `products`: in float32, where at these lengths they are faster than scaled_dot_product_attention; in bf16 it
    is the faster one, and adds up in float32.
    """

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    bias: torch.Tensor | None
    scale: float
    mixed: torch.Tensor
    products: Products | None

    def attend(self) -> None:
        """Write what each token takes from the text's values into `mixed`."""
        attended = self._fused() if self.products is None else self._multiplied(self.products)
        self.mixed.copy_(attended.transpose(0, 1))

    def _fused(self) -> torch.Tensor:
        bias = None if self.bias is None else self.bias[None]
        text = self.query[None], self.key[None], self.value[None]
        return scaled_dot_product_attention(*text, attn_mask=bias, scale=self.scale)[0]

    def _multiplied(self, room: Products) -> torch.Tensor:
        bias, beta = (room.scores, 0) if self.bias is None else (self.bias, 1)
        torch.baddbmm(bias, self.query, self.key.mT, beta=beta, alpha=self.scale, out=room.scores)
        torch.softmax(room.scores, dim=-1, out=room.weights)
        return torch.bmm(room.weights, self.value, out=room.attended)


def attention_by_text(
    projected: Sequence[torch.Tensor],
    mixed: torch.Tensor,
    num_heads: int,
    lengths: Sequence[int],
    bias: torch.Tensor | None = None,
    scale: float = 1.0,
) -> Iterator[TextAttention]:
    """Views of queries, keys and values in `projected` and of `mixed`, each (rows, inner), for each text."""
    by_head = [rows.unflatten(1, (num_heads, -1)) for rows in (*projected, mixed)]
    products = None
    if mixed.dtype == torch.float32:
        longest = max(lengths)
        scores, weights = mixed.new_empty(2, num_heads, longest, longest)
        products = Products(scores, weights, mixed.new_empty(num_heads, longest, mixed.shape[1] // num_heads))
    for start, length in spans(lengths):
        query, key, value, own = (rows[start : start + length] for rows in by_head)
        yield TextAttention(
            query=query.transpose(0, 1),
            key=key.transpose(0, 1),
            value=value.transpose(0, 1),
            bias=None if bias is None else bias[:, :length, :length],
            scale=scale,
            mixed=own,
            products=None if products is None else products.of_length(length),
        )


def spans(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Start and length of each text's rows."""
    start = 0
    for length in lengths:
        yield start, length
        start += length
