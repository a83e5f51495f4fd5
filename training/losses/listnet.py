"""ListNet: the cross-entropy of two distributions over which passage is the best."""

import torch

from training.losses.lists import log_softmax


def listnet(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Cross-entropy of softmax(scores) under softmax(-rank), then the mean over queries.

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007 (top one).
    A teacher that gives an order alone has no relevance to put there: each rank is e times less likely than
    the one before. Equals sentence-transformers' ListNetLoss where its labels are the negative ranks.
    Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query without passages counts as 0.
    """
    real = ranks > 0
    target = (-ranks.float()).masked_fill(~real, float("-inf")).softmax(dim=1)
    return -(target * log_softmax(scores, real)).where(real, 0.0).sum(dim=1).mean()
