"""ListMLE: the likelihood of the teacher's whole order."""

import torch

from training.losses.lists import mean_over_passages


def listmle(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
) -> torch.Tensor:
    """Negative log-likelihood of the order under Plackett and Luce's model, for each of its choices.

    Source: Xia et al., "Listwise Approach to Learning to Rank: Theory and Algorithm", ICML 2008. The sum over
    a query's positions is divided by their number, so that long lists do not outweigh short ones;
    sentence-transformers' ListMLELoss keeps the sum, num_passages times as much. Equal ranks keep the list's
    order. Arguments: see `training.losses`.

    Returns:
        Scalar, in float32: the mean over queries. A query without passages counts as 0.
    """
    real = ranks > 0
    # Best first, padding last.
    order = ranks.masked_fill(~real, torch.iinfo(ranks.dtype).max).argsort(dim=1, stable=True)
    real = real.gather(1, order)
    # exp(-1e9) is 0: padding takes no part in a choice, and unlike minus infinity has a gradient of 0.
    chosen = scores.float().gather(1, order).masked_fill(~real, -1e9)
    remaining = chosen.flip(1).logcumsumexp(dim=1).flip(1)
    return mean_over_passages(remaining - chosen, real)
