"""Margin-MSE: the student's margins are to be the teacher's."""

import torch

from training.losses.pairs import mean_over_pairs, ordered_pairs, pair_differences


def margin_mse(
    scores: torch.Tensor, ranks: torch.Tensor, teacher_scores: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over a query's pairs, then over queries, of ((s_i - s_j) - (t_i - t_j))².

    Source: Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
    Distillation", arXiv 2010.02666. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query with no pair counts as 0.

    Raises:
        ValueError: where the teacher gave an order but no scores.
    """
    if teacher_scores is None:
        raise ValueError("margin_mse needs the teacher's scores, retrieved_passages[teacher_score]")
    difference = pair_differences(scores.float()) - pair_differences(teacher_scores.float())
    return mean_over_pairs(difference.square(), ordered_pairs(ranks))
