"""Dynamic int8 matrix products on a CPU: weights scaled by output channel, activations by token.

One range for each token, not one for the whole batch: activations have outliers (Dettmers et al. 2022,
"LLM.int8()"), and a shared range would make a pair's score depend on its neighbours in the batch. The range runs
from the token's smallest value to its largest, zero within, since many activations lie mostly on one side of zero.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import nn

from .smoothing import CommonInput, largest_inputs

INT8_MAX = 127
# One less than fit, since zero is rounded up. Without VNNI instructions, pairs of products of 8 bits are added in
# 16 bits, which 8-bit activations overflow.
LEVELS = 254 if torch.cpu._is_vnni_supported() else 126
# Added to a small float32, it leaves the nearest whole number in the last bits; a conversion from float32 takes four
# times as long.
WHOLE = 2.0**23
# Of which the reciprocal is still finite.
SMALLEST_STEP = 1e-37
# Rows of a thread that are rounded at a time, so that they stay in the cache.
CACHED_ROWS = 256
# Products have a multiple of so many rows: oneDNN prepares, and keeps, each size of a product by itself.
ROWS_STEP = 32


def quantize_linears(
    module: nn.Module, common_inputs: Iterable[CommonInput], run: Callable[[], object]
) -> None:
    """Replace every linear layer within `module` by its int8 version.

    Args:
        common_inputs: of layers that share one; any other layer is taken to have its own.
        run: has the model work on a sample, which shows how large the layers' inputs are.

    Raises:
        ValueError: where PyTorch was built without oneDNN, or the weights are not on a CPU.
    """
    for parameter in module.parameters():
        _require_int8(parameter)
    inputs = _all_inputs(module, common_inputs)
    largest = largest_inputs([own.layers[0] for own in inputs], run)
    multipliers = [own.smooth(largest.get(own.layers[0])) for own in inputs]
    replaced = _replace(module, inputs)
    for own, multiplier in zip(inputs, multipliers, strict=True):
        for layer in own.layers:
            replaced[layer].take(layer, multiplier)


def prepare_int8(module: nn.Module, common_inputs: Iterable[CommonInput]) -> None:
    """Replace every linear layer by an int8 one that waits for the weights of a checkpoint."""
    _replace(module, _all_inputs(module, common_inputs))


def pack_int8(module: nn.Module) -> None:
    """Have every int8 layer put its weights into the order in which they are multiplied.

    Raises:
        ValueError: for weights that are not on a CPU in float32, or a PyTorch without oneDNN.
    """
    for layer in module.modules():
        if isinstance(layer, Int8Linear):
            layer.pack()


def project(linears: Sequence[nn.Module], hidden: torch.Tensor, outs: Sequence[torch.Tensor]) -> None:
    """Write `hidden`, (rows, in_features), through each of these layers into its `out`, (rows, out_features).

    The layers are all int8, of one `CommonInput`, or none is; else `hidden` is rounded to their weights' dtype, once.
    """
    if isinstance(linears[0], Int8Linear):
        _project_int8(cast(Sequence[Int8Linear], linears), hidden, outs)
        return
    plain = cast(Sequence[nn.Linear], linears)
    hidden = hidden.to(plain[0].weight.dtype)
    for linear, out in zip(plain, outs, strict=True):
        if linear.bias is None:
            torch.mm(hidden, linear.weight.T, out=out)
        else:
            torch.addmm(linear.bias, hidden, linear.weight.T, out=out)


class Int8Linear(nn.Module):
    """A linear layer with int8 weights: float32 rows (..., in_features) → float32 (..., out_features).

    Its `state_dict` has `weight`, (out_features, in_features) int8, `scale` and perhaps `bias`, (out_features,), and
    `multiplier`, (in_features,), where the input is smoothed before it is rounded.
    """

    def __init__(self, in_features: int, out_features: int, has_bias: bool, has_multiplier: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.register_buffer("weight", torch.zeros(out_features, in_features, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(out_features))
        self.register_buffer("bias", torch.zeros(out_features) if has_bias else None)
        self.register_buffer("multiplier", torch.ones(in_features) if has_multiplier else None)
        self._packed: _Packed | None = None

    @torch.no_grad()
    def take(self, linear: nn.Linear, multiplier: torch.Tensor | None) -> None:
        """Round the weights of `linear`, whose input is to be multiplied by `multiplier`."""
        weight = linear.weight.detach().float()
        self.scale = (weight.abs().amax(dim=1) / INT8_MAX).clamp(min=torch.finfo(torch.float32).tiny)
        self.weight = (weight / self.scale[:, None]).round().to(torch.int8)
        if linear.bias is not None:
            self.bias = linear.bias.detach().float()
        # Layers that share an input have it each for itself: transformers saves no shared tensors.
        self.multiplier = None if multiplier is None else multiplier.clone()
        self.pack()

    def pack(self) -> None:
        """Put the weights into the order in which they are multiplied; `state_dict` puts them back into theirs."""
        _require_int8(self.scale)
        if self._packed is None:
            offset = (self.scale * self.weight.sum(dim=1))[None, :]
            zero_points = torch.zeros(self.out_features, dtype=torch.int32)
            self._packed = _Packed(torch.ops.onednn.qlinear_prepack(self.weight, None), offset, zero_points)
            self.weight = self.weight.new_empty(0)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """`hidden @ weight.T + bias`, each row of `hidden` rounded to `LEVELS` steps of its own range."""
        rows = hidden.reshape(-1, self.in_features)
        output = rows.new_empty(len(rows), self.out_features)
        _project_int8([self], rows, [output])
        return output.unflatten(0, hidden.shape[:-1])

    def multiply(self, rounded: "RoundedRows", out: torch.Tensor) -> None:
        """Write the product with rows (n, in_features) into `out`, (n, out_features)."""
        if self._packed is None:
            raise ValueError("an int8 layer has no weights yet; load a checkpoint's")
        weight, offset, zero_points = self._packed
        product = torch.ops.onednn.qlinear_pointwise(
            rounded.values,
            1.0,
            0,
            weight,
            self.scale,
            zero_points,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )[: len(out)]
        product.addcmul_(rounded.zero, offset, value=-1)
        if self.bias is None:
            torch.mul(product, rounded.step, out=out)
        else:
            torch.add(product.mul_(rounded.step), self.bias, out=out)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}weight"] = self._plain_weight()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.weight, self._packed = self._plain_weight(), None
        super()._load_from_state_dict(*args, **kwargs)
        self.pack()

    def __getstate__(self) -> dict[str, Any]:
        """As a copy and a pickle have it: oneDNN's order of the weights is its own."""
        buffers = {**self._buffers, "weight": self._plain_weight()}
        return {**self.__dict__, "_buffers": buffers, "_packed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.pack()

    def _plain_weight(self) -> torch.Tensor:
        return self.weight if self._packed is None else self._packed.weight.to_dense().T.contiguous()


class _Packed(NamedTuple):
    """Weights as oneDNN wants them. `offset`: what each step of a row's zero adds to the outputs, (1, out_features)."""

    weight: torch.Tensor
    offset: torch.Tensor
    zero_points: torch.Tensor


class RoundedRows(NamedTuple):
    """Rows as (values - zero) * step. `values`: (n, size) uint8, and rows of no meaning; others: (n, 1) float32."""

    values: torch.Tensor
    zero: torch.Tensor
    step: torch.Tensor


def rounded_rows(rows: torch.Tensor, room: torch.Tensor, values: torch.Tensor) -> RoundedRows:
    """Rows (n, size), each with a range of its own.

    Args:
        room: float32 of that shape, to work in; may be `rows` itself.
        values: uint8 of as many rows or more, which the result holds.
    """
    smallest = rows.amin(dim=1, keepdim=True).clamp_(max=0)
    # torch.aminmax takes ten times as long as both.
    span = rows.amax(dim=1, keepdim=True).clamp_(min=0).sub_(smallest)
    step = span.div_(LEVELS).clamp_(min=SMALLEST_STEP)
    per_step = step.reciprocal()
    zero = (smallest * per_step).neg_().ceil_()
    # Two passes: torch.addcmul with a number for each row takes three times as long.
    torch.mul(rows, per_step, out=room).add_(zero + WHOLE)
    values[: len(rows)].copy_(room.view(torch.int32))
    return RoundedRows(values, zero, step)


@torch.no_grad()
def _project_int8(linears: Sequence[Int8Linear], hidden: torch.Tensor, outs: Sequence[torch.Tensor]) -> None:
    multiplier = linears[0].multiplier
    at_once = CACHED_ROWS * torch.get_num_threads()
    rows = min(len(hidden), at_once)
    room = hidden.new_empty(rows, hidden.shape[1])
    values = torch.zeros(rows + -rows % ROWS_STEP, hidden.shape[1], dtype=torch.uint8)
    for start in range(0, len(hidden), at_once):
        own = hidden[start : start + at_once]
        own_room = room[: len(own)]
        scaled = own if multiplier is None else torch.mul(own, multiplier, out=own_room)
        rounded = rounded_rows(scaled, own_room, values[: len(own) + -len(own) % ROWS_STEP])
        for linear, out in zip(linears, outs, strict=True):
            linear.multiply(rounded, out[start : start + at_once])


def _all_inputs(module: nn.Module, common_inputs: Iterable[CommonInput]) -> list[CommonInput]:
    inputs = list(common_inputs)
    shared = {layer for own in inputs for layer in own.layers}
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return inputs + [CommonInput([layer]) for layer in linears if layer not in shared]


def _replace(module: nn.Module, inputs: Sequence[CommonInput]) -> dict[nn.Linear, Int8Linear]:
    """Put an int8 layer into the place of each of these of `module`; which one is in whose."""
    replaced = {
        layer: Int8Linear(
            layer.in_features, layer.out_features, layer.bias is not None, has_multiplier=own.source is None
        )
        for own in inputs
        for layer in own.layers
    }
    names = {layer: name for name, layer in module.named_modules()}
    for layer, quantized in replaced.items():
        module.set_submodule(names[layer], quantized)
    return replaced


def _require_int8(weights: torch.Tensor) -> None:
    if not torch.backends.mkldnn.is_available():
        raise ValueError("int8 needs a PyTorch with oneDNN, which this build lacks; score in fp32 or bf16")
    if weights.device.type != "cpu" or weights.dtype != torch.float32:
        raise ValueError(
            f"int8 runs on a CPU, beside float32, not {weights.dtype} on {weights.device}; load the model so"
        )
