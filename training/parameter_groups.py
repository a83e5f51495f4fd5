"""Which weights are the backbone's and which the head's, and a learning rate for the latter."""

from collections.abc import Sequence
from typing import cast

import torch
from peft import PeftModel
from torch import nn

from modeling_twolar import TwolarForReranking


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """What is trained outside the backbone: the scoring head and the readout's own weights.

    Told by module, not by name: adapters lie within the backbone, whatever PEFT calls them. Of a backbone that is a
    classifier, its own head counts too.
    """
    reranker = cast(TwolarForReranking, model.get_base_model() if isinstance(model, PeftModel) else model)
    body = reranker.backbone.base_model
    inside = {id(weight) for weight in body.parameters()}
    return [weight for weight in reranker.parameters() if id(weight) not in inside]


def set_rate(optimizer: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], rate: float) -> None:
    """Give `parameters` groups of their own, with this learning rate and all else, weight decay too, as it was."""
    chosen = {id(weight) for weight in parameters}
    for group in list(optimizer.param_groups):
        own = [weight for weight in group["params"] if id(weight) in chosen]
        if own:
            group["params"] = [weight for weight in group["params"] if id(weight) not in chosen]
            optimizer.param_groups.append({**group, "params": own, "lr": rate})
