"""What the losses over pairs of passages share."""

import torch


def ordered_pairs(ranks: torch.Tensor) -> torch.Tensor:
    """Where passage i ranks before passage j: (num_queries, num_passages i, num_passages j) bool.

    Args:
        ranks: (num_queries, num_passages) int, from 1; 0 marks padding; equal ranks form no pair.
    """
    real = ranks > 0
    return (ranks[:, :, None] < ranks[:, None, :]) & real[:, :, None] & real[:, None, :]


def pair_differences(values: torch.Tensor) -> torch.Tensor:
    """`values[i] - values[j]` of each query: (num_queries, num_passages i, num_passages j)."""
    return values[:, :, None] - values[:, None, :]


def mean_over_pairs(losses: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Mean over each query's pairs, then over queries; a query with no pair counts as 0."""
    sums = losses.where(pairs, 0.0).sum(dim=(1, 2))
    return (sums / pairs.sum(dim=(1, 2)).clamp(min=1)).mean()
