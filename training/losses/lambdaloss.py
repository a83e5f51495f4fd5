"""LambdaLoss: pairs weighted by what swapping them would change in nDCG."""

import torch
from torch.nn.functional import softplus

from training.losses.pairs import ordered_pairs, pair_differences

# The weight of NDCG-Loss2 beside LambdaRank's in NDCG-Loss2++.
MU = 10.0


def lambdaloss(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """NDCG-Loss2++: RankNet's pairs, each weighted by its gain and its places in the student's own order.

    Source: Wang et al., "The LambdaLoss Framework for Ranking Metric Optimization", CIKM 2018. The teacher
    gives an order alone: a passage's gain is 1 / rank. A pair's weight is |gain_i - gain_j| / ideal DCG times
    |1/D(p_i) - 1/D(p_j)| + 10 |1/D(d) - 1/D(d + 1)|, where p are the places in the student's order, d is
    their distance and D(p) = log2(1 + p). sentence-transformers' LambdaLoss has the gain 2^label - 1, so it
    takes the same weights from labels of log2(1 + 1 / rank), and divides the sum by the number of pairs of
    the whole batch. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32: the sum over a query's pairs, in bits, then the mean over queries.
    """
    scores, real, pairs = scores.float(), ranks > 0, ordered_pairs(ranks)
    gains = (1 / ranks.clamp(min=1)).where(real, 0.0)
    places = _places(scores.detach(), real)
    distance = pair_differences(places.float()).abs()
    weights = pair_differences(1 / _discount(places)).abs()
    weights += MU * (1 / _discount(distance) - 1 / _discount(distance + 1)).abs()
    weights *= pair_differences(gains).abs() / _ideal_dcg(gains)[:, None, None]
    bits = softplus(-pair_differences(scores)) / torch.log(torch.tensor(2.0))
    return (weights * bits).where(pairs, 0.0).sum(dim=(1, 2)).mean()


def _places(scores: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Each passage's place from 1 in the order of the scores; padding comes last."""
    order = scores.masked_fill(~real, float("-inf")).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1) + 1


def _discount(places: torch.Tensor) -> torch.Tensor:
    # A distance of 0 is a passage and itself: no pair, so its value does not matter.
    return torch.log2(1 + places.clamp(min=1))


def _ideal_dcg(gains: torch.Tensor) -> torch.Tensor:
    places = torch.arange(1, gains.shape[1] + 1, device=gains.device)
    return (gains.sort(dim=1, descending=True).values / _discount(places)).sum(dim=1).clamp(min=1e-9)
