"""Dynamic int8 matrix products on a CPU: weights scaled by output channel, activations by token.

One scale for each token, not one for the whole batch: a T5's activations have outliers (Dettmers et al. 2022,
"LLM.int8()"), and a shared scale would make a pair's score depend on its neighbours in the batch.
"""

import torch
from torch import nn

INT8_MAX = 127
# Rows that are rounded at a time, so that they stay in the cache.
CACHED_ROWS = 64


def quantize_linears(module: nn.Module) -> None:
    """Replace every linear layer within `module` by its int8 version.

    Raises:
        ValueError: where PyTorch was built without oneDNN, or the weights are not on a CPU.
    """
    if not torch.backends.mkldnn.is_available():
        raise ValueError("int8 needs a PyTorch with oneDNN, which this build lacks; score in fp32 or bf16")
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            if child.weight.device.type != "cpu":
                raise ValueError(f"int8 runs on a CPU; the model is on {child.weight.device}: move it first")
            setattr(module, name, Int8Linear(child))
        else:
            quantize_linears(child)


class Int8Linear(nn.Module):
    """A linear layer with int8 weights: float32 rows (..., in_features) → float32 (..., out_features)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(dim=1) / INT8_MAX).clamp(min=torch.finfo(torch.float32).tiny)
        quantized = (weight / scale[:, None]).round().to(torch.int8)
        self.weight = torch.ops.onednn.qlinear_prepack(quantized, None)
        self.scale = scale
        self.zero_point = torch.zeros(len(scale), dtype=torch.int32)
        self.bias = linear.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`hidden @ weight.T + bias`, each row of `hidden` rounded to 255 steps of its own size."""
        rows = hidden.reshape(-1, hidden.shape[-1])
        quantized, step = quantized_rows(rows)
        output = torch.ops.onednn.qlinear_pointwise(
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
        output *= step
        if self.bias is not None:
            output += self.bias
        return output.unflatten(0, hidden.shape[:-1])


def quantized_rows(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows (n, size) as int8, and the step (n, 1) that each was divided by."""
    quantized = torch.empty(rows.shape, dtype=torch.int8)
    step = rows.new_empty(len(rows), 1)
    chunks = (tensor.split(CACHED_ROWS) for tensor in (rows, quantized, step))
    for own, own_quantized, own_step in zip(*chunks, strict=True):
        largest = own.abs().amax(dim=1, keepdim=True).clamp_(min=torch.finfo(rows.dtype).tiny)
        torch.div(largest, INT8_MAX, out=own_step)
        own_quantized.copy_((own / own_step).round_())
    return quantized, step
