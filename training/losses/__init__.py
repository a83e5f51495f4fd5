"""Ranking losses over lists of unequal length.

Each takes

- `scores`: (num_queries, num_passages) float, higher is more relevant;
- `ranks`: (num_queries, num_passages) int, the teacher's from 1 for its best; 0 marks padding, which changes
  nothing;
- `teacher_scores`: (num_queries, num_passages) float, where the teacher gave scores; `kl`, `margin_mse` and
  `mse` need them, the others do not read them;
- `is_source`: (num_queries, num_passages) bool, true at the passage that the query was made from, at most one
  a query; `infonce` needs it, the others do not read it.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch

from retrieval.errors import InputError
from training.losses.adr_mse import adr_mse
from training.losses.infonce import infonce
from training.losses.kl import kl
from training.losses.lambdaloss import lambdaloss
from training.losses.listmle import listmle
from training.losses.listnet import listnet
from training.losses.margin_mse import margin_mse
from training.losses.mse import mse
from training.losses.ranknet import ranknet


class RankingLoss(Protocol):
    """See the module's documentation."""

    def __call__(
        self,
        scores: torch.Tensor,
        ranks: torch.Tensor,
        teacher_scores: torch.Tensor | None = None,
        is_source: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss, a scalar."""
        ...


LOSSES: dict[str, RankingLoss] = {
    "ranknet": ranknet,
    "listnet": listnet,
    "listmle": listmle,
    "lambdaloss": lambdaloss,
    "adr_mse": adr_mse,
    "kl": kl,
    "margin_mse": margin_mse,
    "mse": mse,
    "infonce": infonce,
}
READ_SCORES = frozenset({"kl", "margin_mse", "mse"})
READ_SOURCE = frozenset({"infonce"})
KNOWN = f"{', '.join(LOSSES)}, or a weighted sum of them, such as kl+0.05*margin_mse"


@dataclass(frozen=True, slots=True)
class WeightedLoss:
    """A sum of losses, each with its weight; itself a `RankingLoss`.

    Args:
        weights: (name in `LOSSES`, weight) of each term; `parse_loss` checks them.
        temperature: that of `kl`, should it be a term.
    """

    weights: tuple[tuple[str, float], ...]
    temperature: float = 1.0

    def __call__(
        self,
        scores: torch.Tensor,
        ranks: torch.Tensor,
        teacher_scores: torch.Tensor | None = None,
        is_source: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss, a scalar. Arguments and errors: those of its terms."""
        terms = [
            weight * self._loss(name)(scores, ranks, teacher_scores, is_source)
            for name, weight in self.weights
        ]
        return torch.stack(terms).sum()

    @property
    def reads_scores(self) -> bool:
        """Whether a term needs `teacher_scores`."""
        return any(name in READ_SCORES for name, _ in self.weights)

    @property
    def reads_source(self) -> bool:
        """Whether a term needs `is_source`."""
        return any(name in READ_SOURCE for name, _ in self.weights)

    def _loss(self, name: str) -> RankingLoss:
        return partial(kl, temperature=self.temperature) if name == "kl" else LOSSES[name]


def parse_loss(spec: str, temperature: float = 1.0) -> WeightedLoss:
    """The loss that `--loss` and `--temperature` name: `ranknet`, or a weighted sum, `kl+0.05*margin_mse`.

    Raises:
        InputError: for an unknown loss, an empty term, a loss named twice, or a weight or temperature that is
            not a positive finite number.
    """
    if not 0 < temperature < math.inf:
        raise InputError(
            f"--temperature {temperature} is not a positive finite number; it is kl's. --loss is one of {KNOWN}"
        )
    weights = tuple(_parse_term(term.strip(), spec) for term in spec.split("+"))
    names = [name for name, _ in weights]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--loss {spec!r} names {name} twice; --loss is one of {KNOWN}")
    return WeightedLoss(weights, temperature)


def _parse_term(term: str, spec: str) -> tuple[str, float]:
    """Name and weight of `name` or `weight*name`."""
    if not term:
        raise InputError(f"--loss {spec!r} has an empty term; --loss is one of {KNOWN}")
    *weights, name = (part.strip() for part in term.split("*", maxsplit=1))
    if name not in LOSSES:
        raise InputError(f"--loss {name!r} is not one of {KNOWN}")
    weight = _number(weights[0]) if weights else 1.0
    if not 0 < weight < math.inf:
        problem = f"weight {weights[0]!r} is not a positive finite number"
        raise InputError(f"--loss {spec!r}: {problem}; --loss is one of {KNOWN}")
    return name, weight


def _number(text: str) -> float:
    """Not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
