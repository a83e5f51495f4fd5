"""The floor under every way of scoring: the encoder's own matrix products, over real tokens, and nothing else."""

import time

import torch
from torch.nn.functional import linear

ROWS = 1024
REPEATS = 3


class MatrixFloor:
    """Measures how fast this machine multiplies, in fp32 and at the shapes of an encoder's layer."""

    def __init__(self, shape: dict[str, int], device: torch.device) -> None:
        inner = shape["num_heads"] * shape["d_kv"]
        model, dense = shape["d_model"], shape["d_ff"]
        sizes = [(inner, model)] * 3 + [(model, inner)] + [(dense, model)] * 2 + [(model, dense)]
        self.device = device
        self._num_layers = shape["num_layers"]
        self._weights = [torch.randn(size, device=device) for size in sizes]
        self._inputs = {size: torch.randn(ROWS, size, device=device) for _, size in sizes}

    @property
    def flops_per_token(self) -> int:
        """Floating-point operations of the encoder's matrix products for a token."""
        return 2 * self._num_layers * sum(weight.numel() for weight in self._weights)

    @torch.inference_mode()
    def flops_per_second(self) -> float:
        """Measured now; about as long as one layer over 3,072 tokens."""
        start = time.perf_counter()
        for _ in range(REPEATS):
            for weight in self._weights:
                linear(self._inputs[weight.shape[1]], weight)
        synchronize(self.device)
        flops = 2 * ROWS * REPEATS * sum(weight.numel() for weight in self._weights)
        return flops / (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait for the work given to `device`."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
