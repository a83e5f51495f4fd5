"""ADR-MSE: the squared error of approximate ranks, discounted."""

import torch

from training.losses.pairs import pair_differences


def adr_mse(
    scores: torch.Tensor, ranks: torch.Tensor, teacher_scores: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over a query's passages, then over queries, of (r - r̂)² / log2(r + 1).

    Source: Schlatt et al., "Rank-DistiLLM: Closing the Effectiveness Gap Between Cross-Encoders and LLMs for
    Passage Re-Ranking", arXiv 2405.07920. The approximate rank is r̂_i = 1 + Σ_{j≠i} sigmoid(s_j - s_i) (Qin et
    al. 2010). Ranks count from 1 within the pool, so that a sampled pool has none missing. Arguments: see
    `training.losses`.

    Returns:
        Scalar, in float32. A query without passages counts as 0.
    """
    real = ranks > 0
    both = real[:, :, None] & real[:, None, :]
    wins = torch.sigmoid(-pair_differences(scores.float())).where(both, 0.0)
    # The sum holds each passage itself with sigmoid(0) = 1/2.
    approximate = 0.5 + wins.sum(dim=2)
    rank = 1 + ((ranks[:, None, :] < ranks[:, :, None]) & both).sum(dim=2)
    losses = ((rank - approximate).square() / torch.log2(rank + 1.0)).where(real, 0.0)
    return (losses.sum(dim=1) / real.sum(dim=1).clamp(min=1)).mean()
