"""RankNet: the paper's loss."""

import torch
from torch.nn.functional import softplus


def ranknet(scores: torch.Tensor, ranks: torch.Tensor) -> torch.Tensor:
    """Mean over a query's pairs, then over queries, of log(1 + exp(s_j - s_i)) where i ranks before j.

    Source: Burges et al., "Learning to Rank using Gradient Descent", ICML 2005; TWOLAR, section 3.3, where
    it is the cross-entropy of each ordered pair's two scores.

    Args:
        scores: (num_queries, num_passages) float, higher is more relevant.
        ranks: (num_queries, num_passages) int, from 1; 0 marks padding; equal ranks form no pair.

    Returns:
        Scalar, in float32. A query with no pair counts as 0.
    """
    scores = scores.float()
    real = ranks > 0
    ordered = (ranks[:, :, None] < ranks[:, None, :]) & real[:, :, None] & real[:, None, :]
    losses = softplus(scores[:, None, :] - scores[:, :, None]).where(ordered, 0.0)
    return (losses.sum(dim=(1, 2)) / ordered.sum(dim=(1, 2)).clamp(min=1)).mean()
