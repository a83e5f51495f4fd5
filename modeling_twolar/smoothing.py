"""Outliers of activations moved into the weights, where they cost less when both are rounded.

Each column of a layer's input is divided by a factor that the layer's weights take over, so that both are left with
the same range: Xiao et al. 2023, "SmoothQuant", alpha 0.5.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

# Columns that are always zero have no range to share.
SMALLEST = 1e-5


@dataclass(frozen=True, slots=True)
class CommonInput:
    """Linear layers that are given the same tensor.

    `source`: what that tensor comes from, where dividing its rows of weights (a linear layer) or its weights (a T5's
    norm) divides the tensor's columns; None where there is no such module, and the tensor itself is divided.
    """

    layers: Sequence[nn.Linear]
    source: Any = None

    @torch.no_grad()
    def smooth(self, largest: torch.Tensor | None) -> torch.Tensor | None:
        """Move outliers into the layers' weights, in place.

        Args:
            largest: the size of the input's columns, (in_features,); None for layers that were not seen at work.

        Returns:
            What the input is to be multiplied by, (in_features,); None where the source's weights already are.
        """
        if largest is None:
            return None if self.source is not None else torch.ones(self.layers[0].in_features)
        weights = torch.stack([layer.weight.abs().amax(dim=0) for layer in self.layers]).amax(dim=0)
        divisor = (largest.clamp(min=SMALLEST) / weights.clamp(min=SMALLEST)).sqrt()
        for layer in self.layers:
            layer.weight.mul_(divisor)
        if self.source is None:
            return divisor.reciprocal()
        self.source.weight.div_(divisor if self.source.weight.ndim == 1 else divisor[:, None])
        if getattr(self.source, "bias", None) is not None:
            self.source.bias.div_(divisor)
        return None


def largest_inputs(linears: Sequence[nn.Linear], run: Callable[[], object]) -> dict[nn.Linear, torch.Tensor]:
    """The largest size of each column, (in_features,), of what reaches each layer while `run` runs."""
    largest: dict[nn.Linear, torch.Tensor] = {}

    def record(linear: nn.Linear, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        columns = inputs[0].detach().float().abs().flatten(0, -2).amax(dim=0)
        largest[linear] = torch.maximum(columns, largest.get(linear, columns))

    hooks = [linear.register_forward_pre_hook(partial(record, linear)) for linear in linears]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return largest
