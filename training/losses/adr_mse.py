"""ADR-MSE: the squared error of approximate ranks, discounted."""

import torch

from training.losses.lists import mean_over_passages
from training.losses.pairs import pair_differences


def adr_mse(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over a query's passages, then over queries, of (r - r̂)² / log2(r + 1).

    Source: Schlatt et al., "Rank-DistiLLM: Closing the Effectiveness Gap Between Cross-Encoders and LLMs for
    Passage Re-Ranking", arXiv 2405.07920. The approximate rank is r̂_i = 1 + Σ_{j≠i} sigmoid(s_j - s_i) (Qin
    et al. 2010). Ranks count from 1 within the pool, so that a sampled pool has none missing. Equals
    sentence-transformers' ADRMSELoss for one query without equal ranks (there they get their mean, here the
    best of them); that loss takes one mean over all passages of a batch, so that a query counts by its
    passages. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32. A query without passages counts as 0.
    """
    real = ranks > 0
    both = real[:, :, None] & real[:, None, :]
    wins = torch.sigmoid(-pair_differences(scores.float())).where(both, 0.0)
    # The sum holds each passage itself with sigmoid(0) = 1/2.
    approximate = 0.5 + wins.sum(dim=2)
    rank = 1 + ((ranks[:, None, :] < ranks[:, :, None]) & both).sum(dim=2)
    return mean_over_passages((rank - approximate).square() / torch.log2(rank + 1.0), real)
