"""Ranking losses over lists of unequal length.

Each takes

- `scores`: (num_queries, num_passages) float, higher is more relevant;
- `ranks`: (num_queries, num_passages) int, the teacher's from 1 for its best; 0 marks padding, which changes
  nothing;
- `teacher_scores`: (num_queries, num_passages) float, where the teacher gave scores; only `margin_mse` reads it.
"""

from typing import Protocol

import torch

from training.losses.adr_mse import adr_mse
from training.losses.lambdaloss import lambdaloss
from training.losses.listmle import listmle
from training.losses.listnet import listnet
from training.losses.margin_mse import margin_mse
from training.losses.ranknet import ranknet


class RankingLoss(Protocol):
    """See the module's documentation."""

    def __call__(
        self, scores: torch.Tensor, ranks: torch.Tensor, teacher_scores: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The loss, a scalar."""
        ...


LOSSES: dict[str, RankingLoss] = {
    "ranknet": ranknet,
    "listnet": listnet,
    "listmle": listmle,
    "lambdaloss": lambdaloss,
    "margin_mse": margin_mse,
    "adr_mse": adr_mse,
}
