"""Margin-MSE: the student's margins are to be the teacher's."""

import torch

from training.losses.pairs import mean_over_pairs, ordered_pairs, pair_differences
from training.losses.teacher_scores import needed


def margin_mse(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over a query's pairs, then over queries, of ((s_i - s_j) - (t_i - t_j))².

    Source: Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
    Distillation", arXiv 2010.02666, where a query has two passages. Over longer lists it is the mean over all
    pairs, while sentence-transformers' MarginMSELoss has those of its first passage, the positive, alone:
    ours is the mean of theirs with each passage in turn as the positive. Pairs are those of unequal ranks.
    Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query with no pair counts as 0.

    Raises:
        ValueError: where the teacher gave an order but no scores.
    """
    teacher = needed(teacher_scores, "margin_mse")
    difference = pair_differences(scores.float()) - pair_differences(teacher)
    return mean_over_pairs(difference.square(), ordered_pairs(ranks))
