"""What the losses over whole lists of passages share."""

import torch


def log_softmax(values: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Logarithms of softmax(values) over each query's real passages, in float32; minus infinity at padding.

    Args:
        values: (num_queries, num_passages) float.
        real: (num_queries, num_passages) bool, false at padding.
    """
    return values.float().masked_fill(~real, float("-inf")).log_softmax(dim=1)


def mean_over_passages(losses: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean over each query's real passages, then over queries; a query without passages counts as 0."""
    return (losses.where(real, 0.0).sum(dim=1) / real.sum(dim=1).clamp(min=1)).mean()
