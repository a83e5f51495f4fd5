"""The floor under every way of scoring: the matrix products that one score needs, over real tokens, and nothing else.

Those are the encoder's linear layers and attention, and one step of the decoder with neither keys nor values of
the encoder's vectors (see `packed_t5.py`).
"""

import time
from typing import Self

import torch
from torch.nn.functional import linear

ROWS = 1600


class MatrixFloor:
    """Counts what has to be multiplied; measures how fast this machine multiplies, in fp32, at an encoder's shapes.

    Args:
        sizes: of the matrices of one layer of the encoder.
        inner: numbers that attention compares of each token.
        last: products of one pair after the encoder, a layer.
    """

    def __init__(
        self, sizes: list[tuple[int, int]], num_layers: int, inner: int, last: int, device: torch.device
    ) -> None:
        self.device = device
        self._num_layers = num_layers
        self._layer = sum(rows * columns for rows, columns in sizes)
        self._inner, self._last = inner, last
        # Every layer has its own: one layer's, used over and over, would stay in the cache, as no model's do.
        self._weights = [torch.randn(size, device=device) for size in sizes * num_layers]
        self._inputs = {size: torch.randn(ROWS, size, device=device) for _, size in sizes}

    @classmethod
    def of_t5(cls, shape: dict[str, int], device: torch.device) -> Self:
        """Of a gated T5, and one step of its decoder: self-attention's value and output, cross-attention's four
        matrices, the feed-forward layer."""
        inner = shape["num_heads"] * shape["d_kv"]
        model, dense = shape["d_model"], shape["d_ff"]
        sizes = [(inner, model)] * 3 + [(model, inner)] + [(dense, model)] * 2 + [(model, dense)]
        return cls(sizes, shape["num_layers"], inner, 6 * model * inner + 3 * model * dense, device)

    @classmethod
    def of_bert(cls, hidden: int, dense: int, num_layers: int, device: torch.device) -> Self:
        """Of a BERT; the one product of its pooler is left out."""
        sizes = [(hidden, hidden)] * 4 + [(dense, hidden), (hidden, dense)]
        return cls(sizes, num_layers, hidden, 0, device)

    def flops(self, lengths: list[int]) -> int:
        """Floating-point operations of the matrix products for pairs of `lengths` tokens, prompts included."""
        encoder = sum(length * (2 * self._layer + 4 * self._inner * length) for length in lengths)
        return self._num_layers * (encoder + 2 * self._last * len(lengths))

    @torch.inference_mode()
    def flops_per_second(self) -> float:
        """Measured now, over all layers' weights."""
        start = time.perf_counter()
        for weight in self._weights:
            linear(self._inputs[weight.shape[1]], weight)
        synchronize(self.device)
        flops = 2 * ROWS * sum(weight.numel() for weight in self._weights)
        return flops / (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait for the work given to `device`."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
