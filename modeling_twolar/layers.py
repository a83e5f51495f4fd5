"""A backbone with only some of its transformer layers: a smaller student that starts from the large one's weights."""

from collections.abc import Sequence

from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

# Lists in a configuration with one entry a layer.
PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")


def keep_layers(backbone: PreTrainedModel, layers: Sequence[int]) -> PreTrainedModel:
    """`backbone`, changed in place, with only these layers; of an encoder-decoder, in both its stacks.

    Args:
        layers: ascending numbers from 0. Where the first layer is unlike the others (ModernBERT), 0 is among them.

    Raises:
        ValueError: for numbers that do not fit; it says how many layers the backbone has.
    """
    stacks = layer_stacks(backbone)
    total = min(map(len, stacks.values()))
    if not layers or list(layers) != sorted(set(layers)) or layers[0] < 0 or layers[-1] >= total:
        raise ValueError(
            f"layers {list(layers)} are not ascending numbers below {total}, the backbone's layers"
        )
    for name, stack in stacks.items():
        kept = [stack[layer] for layer in layers]
        _begin_with(kept[0], stack[0], total)
        _number(kept)
        backbone.set_submodule(name, nn.ModuleList(kept))
    for config in _configs(backbone):
        _shorten(config, layers)
    return backbone


def evenly_spaced(num_layers: int, total: int) -> list[int]:
    """`num_layers` of `total` layers at even distances, the first and the last among them: 3 of 6 are 0, 2, 5.

    What a backbone's last layer gives is what it was trained for: with it a bi-encoder's half starts higher
    (benchmarks/LOG.md, "which half of the layers?"). One layer is the first.

    Raises:
        ValueError: for more layers than there are, or none.
    """
    if not 1 <= num_layers <= total:
        raise ValueError(f"num_layers {num_layers} is not from 1 to {total}, the backbone's layers")
    return [index * (total - 1) // max(num_layers - 1, 1) for index in range(num_layers)]


def with_layers(
    backbone: PreTrainedModel, layers: Sequence[int] | None, num_layers: int | None
) -> PreTrainedModel:
    """`backbone` with these layers, or so many of them evenly spaced; as it is where neither is asked for."""
    if layers is not None and num_layers is not None:
        raise ValueError(
            "layers and num_layers exclude each other: the one names layers, the other counts them"
        )
    if num_layers is not None:
        layers = evenly_spaced(num_layers, min(map(len, layer_stacks(backbone).values())))
    return backbone if layers is None else keep_layers(backbone, layers)


def layer_stacks(backbone: PreTrainedModel) -> dict[str, nn.ModuleList]:
    """The backbone's lists of layers by their names: one, or an encoder's and a decoder's.

    Raises:
        ValueError: for a backbone whose layers are not in a list (ALBERT, which has one for all).
    """
    config = backbone.config
    lengths = {config.num_hidden_layers, getattr(config, "num_decoder_layers", None)}
    stacks: dict[str, nn.ModuleList] = {}
    for name, module in backbone.named_modules():
        is_inside = any(name.startswith(f"{outer}.") for outer in stacks)
        if (
            isinstance(module, nn.ModuleList)
            and len(module) in lengths
            and not is_inside
            and _are_alike(module)
        ):
            stacks[name] = module
    if not stacks:
        raise ValueError(f"layers of {config.model_type} cannot be left out: it has no list of them")
    return stacks


def _are_alike(modules: nn.ModuleList) -> bool:
    return len({type(module) for module in modules}) == 1


def _begin_with(first: nn.Module, old_first: nn.Module, total: int) -> None:
    """Give `first` what only the old first layer has: T5's position biases, which all layers share."""
    names = _weight_names(old_first)
    holder, old_holder = _position_bias_holder(first), _position_bias_holder(old_first)
    if holder is not None and old_holder is not None and old_holder.has_relative_attention_bias:
        holder.has_relative_attention_bias = True  # type: ignore[assignment]
        holder.relative_attention_bias = old_holder.relative_attention_bias
    if _weight_names(first) != names:
        raise ValueError(f"layer 0 has to be kept of the backbone's {total} layers: the others are unlike it")


def _weight_names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_parameters()}


def _position_bias_holder(layer: nn.Module) -> nn.Module | None:
    return next((part for part in layer.modules() if hasattr(part, "has_relative_attention_bias")), None)


def _number(layers: Sequence[nn.Module]) -> None:
    for number, layer in enumerate(layers):
        for part in layer.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = number  # type: ignore[assignment]


def _configs(backbone: PreTrainedModel) -> list[PretrainedConfig]:
    """Each configuration in use once: a stack may have a copy of its own."""
    found = [getattr(module, "config", None) for module in backbone.modules()]
    return list({id(config): config for config in found if isinstance(config, PretrainedConfig)}.values())


def _shorten(config: PretrainedConfig, layers: Sequence[int]) -> None:
    for name in PER_LAYER:
        entries = getattr(config, name, None)
        if entries:
            setattr(config, name, [entries[layer] for layer in layers])
    config.num_hidden_layers = len(layers)
    if getattr(config, "num_decoder_layers", None):
        config.num_decoder_layers = len(layers)
