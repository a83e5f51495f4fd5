"""The floor under every way of scoring: the matrix products that one score needs, over real tokens, and nothing else.

Those are the encoder's linear layers and attention, and one step of the decoder with neither keys nor values of
the encoder's vectors (see `packed_t5.py`).
"""

import time

import torch
from torch.nn.functional import linear

ROWS = 1600


class MatrixFloor:
    """Counts what has to be multiplied; measures how fast this machine multiplies, in fp32, at an encoder's shapes."""

    def __init__(self, shape: dict[str, int], device: torch.device) -> None:
        inner = shape["num_heads"] * shape["d_kv"]
        model, dense = shape["d_model"], shape["d_ff"]
        sizes = [(inner, model)] * 3 + [(model, inner)] + [(dense, model)] * 2 + [(model, dense)]
        self.device = device
        self._num_layers = shape["num_layers"]
        self._layer = sum(rows * columns for rows, columns in sizes)
        # Self-attention's value and output, cross-attention's four matrices, the feed-forward layer.
        self._decoder_layer = 6 * model * inner + 3 * model * dense
        self._inner = inner
        # Every layer has its own: one layer's, used over and over, would stay in the cache, as no model's do.
        self._weights = [torch.randn(size, device=device) for size in sizes * self._num_layers]
        self._inputs = {size: torch.randn(ROWS, size, device=device) for _, size in sizes}

    def flops(self, lengths: list[int]) -> int:
        """Floating-point operations of the matrix products for pairs of `lengths` tokens, prompts included."""
        encoder = sum(length * (2 * self._layer + 4 * self._inner * length) for length in lengths)
        return self._num_layers * (encoder + 2 * self._decoder_layer * len(lengths))

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
