"""RankNet: the paper's loss."""

import torch
from torch.nn.functional import softplus

from training.losses.pairs import mean_over_pairs, ordered_pairs, pair_differences


def ranknet(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over a query's pairs, then over queries, of log(1 + exp(s_j - s_i)) where i ranks before j.

    Source: Burges et al., "Learning to Rank using Gradient Descent", ICML 2005; TWOLAR, section 3.3, where it
    is the cross-entropy of each ordered pair's two scores. sentence-transformers' RankNetLoss is, for one
    query, 1 / ln 2 times as much (in bits); it takes one mean over all pairs of a batch, so that a query
    counts by its pairs. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query with no pair counts as 0.
    """
    return mean_over_pairs(softplus(-pair_differences(scores.float())), ordered_pairs(ranks))
