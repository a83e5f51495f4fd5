"""A mean of the start's and the trained weights: what training won, without what it forgot."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from modeling_twolar import TwolarForReranking
from training.arguments import Stage
from training.flags import ModelArguments
from training.held_out import HeldOut, PerQuery
from training.student import load_student, on_device

WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

StateDict = Mapping[str, torch.Tensor]


def load_saved(
    stage: Stage, start: ModelArguments, held_out: HeldOut
) -> tuple[TwolarForReranking, float | None]:
    """The student as its folder holds it; with `--merge_with_start` merged, and saved so, and the share it was given.

    Read again, not taken from memory: what is measured then is what users will load.
    """
    student = on_device(TwolarForReranking.from_pretrained(stage.folder), stage)
    if not stage.training.merge_with_start or held_out.rankings is None:
        return student, None
    print("merging with the start", flush=True)
    weights = load_student(start).state_dict()
    share = merge_with_start(student, weights, lambda: held_out.agreement(student))
    student.save_pretrained(stage.folder)
    return student, share


def merge_with_start(model: nn.Module, start: StateDict, measure: Callable[[], PerQuery]) -> float:
    """Give `model` the weights (1 - w) start + w trained, and return w, the trained weights' share.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (WiSE-FT), arXiv 2109.01903; Xiao et al.,
    "LM-Cocktail", arXiv 2311.13534. w is the smallest of `WEIGHTS` whose mean is within one standard error of the
    best one's (Breiman et al., "Classification and Regression Trees", 1984), and not below the start's: of what
    cannot be told apart, what lies nearest to the start. 0, the start itself, is among them.

    Args:
        start: the start's `state_dict`, on any device.
        measure: held-out query → nDCG@10 of `model` as it is when called.
    """
    trained = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    values = []
    for weight in WEIGHTS:
        interpolate(model, start, trained, weight)
        values.append(list(measure().values()))
    chosen = within_one_standard_error(np.array(values))
    interpolate(model, start, trained, WEIGHTS[chosen])
    return WEIGHTS[chosen]


def interpolate(model: nn.Module, start: StateDict, trained: StateDict, weight: float) -> None:
    """Give `model` the weights (1 - weight) start + weight trained; what is no floating-point number stays trained."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(start[name].cpu().lerp(trained[name], weight))


def within_one_standard_error(values: np.ndarray) -> int:
    """The first row that is not below row 0, and below the best row by at most the standard error of the difference.

    Args:
        values: (num_rows, num_queries).
    """
    means = values.mean(axis=1)
    shortfalls = values[means.argmax()] - values
    num_queries = values.shape[1]
    errors = shortfalls.std(axis=1) / np.sqrt(max(num_queries - 1, 1))
    return int(((shortfalls.mean(axis=1) <= errors) & (means >= means[0])).argmax())
