"""MSE: the student's scores are to be the teacher's."""

import torch

from training.losses.lists import mean_over_passages
from training.losses.teacher_scores import needed


def mse(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over a query's passages, then over queries, of (s - t)².

    Source: Ba and Caruana, "Do Deep Nets Really Need to be Deep?", arXiv 1312.6184 (regression on the
    teacher's logits). It asks for the teacher's scale and zero too, where `margin_mse` asks for the scale
    alone. Equals sentence-transformers' MSELoss for one query; that loss takes one mean over all passages of
    a batch, so that a query counts by its passages. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query without passages counts as 0.

    Raises:
        ValueError: where the teacher gave an order but no scores.
    """
    return mean_over_passages((scores.float() - needed(teacher_scores, "mse")).square(), ranks > 0)
