"""Dynamic int8 matrix products on a CPU: weights scaled by output channel, activations by token.

One range for each token, not one for the whole batch: activations have outliers (Dettmers et al. 2022,
"LLM.int8()"), and a shared range would make a pair's score depend on its neighbours in the batch. The range runs
from the token's smallest value to its largest, since many activations lie mostly on one side of zero. Columns with
outliers are first divided by a factor that their weights take over (Xiao et al. 2023, "SmoothQuant", alpha 0.5).
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.functional import pad

INT8_MAX = 127
# Without VNNI instructions, pairs of products of 8 bits are added in 16 bits, which 8-bit activations overflow.
LEVELS = 255 if torch.cpu._is_vnni_supported() else 127
# Added to a small float32, it leaves the nearest whole number in the last bits; a conversion from float32 takes four
# times as long.
WHOLE = 2.0**23
# Of which the reciprocal is still finite.
SMALLEST_STEP = 1e-37
# Columns that are always zero have no range to share.
SMALLEST = 1e-5
# Rows that are rounded at a time, so that they stay in the cache.
CACHED_ROWS = 256
# A BERT's self-attention: layers with one input; see `packed_bert.py`.
SELF_ATTENTION = ("query", "key", "value")
# Products have a multiple of so many rows: oneDNN prepares, and keeps, each size of a product by itself.
ROWS_STEP = 32


def quantize_linears(module: nn.Module, run: Callable[[], object]) -> None:
    """Replace every linear layer within `module` by its int8 version.

    Args:
        run: has the model work on a sample, which shows how large the layers' inputs are.

    Raises:
        ValueError: where PyTorch was built without oneDNN, or the weights are not on a CPU.
    """
    if not torch.backends.mkldnn.is_available():
        raise ValueError("int8 needs a PyTorch with oneDNN, which this build lacks; score in fp32 or bf16")
    linears = [child for child in module.modules() if isinstance(child, nn.Linear)]
    if any(linear.weight.device.type != "cpu" for linear in linears):
        raise ValueError("int8 runs on a CPU; move the model there first")
    largest = largest_inputs(linears, run)
    for parent in list(module.modules()):
        if all(isinstance(getattr(parent, name, None), nn.Linear) for name in SELF_ATTENTION):
            linears = [getattr(parent, name) for name in SELF_ATTENTION]
            parent.merged = Int8Linear(_side_by_side(linears), largest.get(linears[0]))
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                setattr(parent, name, Int8Linear(child, largest.get(child)))


def largest_inputs(linears: list[nn.Linear], run: Callable[[], object]) -> dict[nn.Linear, torch.Tensor]:
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


def _side_by_side(linears: list[nn.Linear]) -> nn.Linear:
    """One layer whose outputs are those of all, one after the other: their input is rounded once."""
    weight = torch.cat([linear.weight for linear in linears])
    merged = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    merged.weight = nn.Parameter(weight, requires_grad=False)
    merged.bias = nn.Parameter(torch.cat([linear.bias for linear in linears]), requires_grad=False)
    return merged


class Int8Linear(nn.Module):
    """A linear layer with int8 weights: float32 rows (..., in_features) → float32 (..., out_features).

    `largest`: the size of its input's columns, (in_features,); None for a layer that was not seen at work.
    """

    def __init__(self, linear: nn.Linear, largest: torch.Tensor | None) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        divisor = torch.ones(weight.shape[1]) if largest is None else smoothing(largest, weight)
        self.multiplier = divisor.reciprocal()
        weight = weight * divisor
        scale = (weight.abs().amax(dim=1) / INT8_MAX).clamp(min=torch.finfo(torch.float32).tiny)
        quantized = (weight / scale[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(quantized, None)
        self.out_features = len(scale)
        self.scale = scale
        self.zero_point = torch.zeros(len(scale), dtype=torch.int32)
        # What a token's smallest value contributes to each output.
        self.offset = (scale * quantized.sum(dim=1))[None, :]
        self.bias = torch.zeros(len(scale)) if linear.bias is None else linear.bias.detach().float()

    def forward(self, hidden: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """`hidden @ weight.T + bias`, each row of `hidden` rounded to `LEVELS` steps of its own range.

        `out`: (rows, out_features), where the result is written.
        """
        rows = hidden.reshape(-1, hidden.shape[-1])
        output = rows.new_empty(len(rows), self.out_features) if out is None else out
        for own, own_output in zip(rows.split(CACHED_ROWS), output.split(CACHED_ROWS), strict=True):
            quantized, step, smallest = quantized_rows(own * self.multiplier)
            product = self._product(pad(quantized, (0, 0, 0, -len(own) % ROWS_STEP)))[: len(own)]
            torch.addmm(self.bias, smallest, self.offset, out=own_output).addcmul_(product, step)
        return output.unflatten(0, hidden.shape[:-1])

    def _product(self, quantized: torch.Tensor) -> torch.Tensor:
        return torch.ops.onednn.qlinear_pointwise(
            quantized,
            1.0,
            0,
            self.weight,
            self.scale,
            self.zero_point,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )


def smoothing(largest: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """SmoothQuant's divisor of each input column: inputs and weights are left with the same range."""
    return (largest.clamp(min=SMALLEST) / weight.abs().amax(dim=0).clamp(min=SMALLEST)).sqrt()


def quantized_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows (n, size) as uint8, and each row's step and smallest value, (n, 1): `quantized * step + smallest`.

    Works in the memory of `rows`.
    """
    # torch.aminmax takes ten times as long as both.
    smallest, largest = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    step = ((largest - smallest) / LEVELS).clamp_(min=SMALLEST_STEP)
    rows.sub_(smallest).mul_(step.reciprocal()).add_(WHOLE)
    return rows.view(torch.int32).to(torch.uint8), step, smallest
