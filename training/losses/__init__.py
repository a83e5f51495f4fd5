"""Ranking losses over lists of unequal length.

Each takes `scores` and `ranks`, both (num_queries, num_passages): higher scores are more relevant, rank 1
is the teacher's best, rank 0 marks padding, which changes nothing.
"""

from collections.abc import Callable

import torch

from training.losses.ranknet import ranknet

RankingLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["RankingLoss", "ranknet"]
