"""A sigmoid that turns scores into shares of relevant passages.

Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, with its targets, which keep the fit finite
where scores separate the two.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from retrieval.errors import InputError

# What thresholds keep, in Markdown, beside a checkpoint's configuration: the model card shows it.
FILE_NAME = "thresholds.md"
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Calibration:
    """A relevance is sigmoid((score - shift) / temperature)."""

    temperature: float
    shift: float

    def relevance(self, scores: torch.Tensor) -> torch.Tensor:
        """(n,) float64 from 0 to 1, of scores (n,)."""
        return ((scores.double() - self.shift) / self.temperature).sigmoid()


def fit(scores: torch.Tensor, relevant: torch.Tensor) -> Calibration:
    """The calibration of least cross-entropy, of scores (n,) and relevant (n,) bool.

    Raises:
        InputError: where all passages are relevant or none is, or a higher score means less relevant.
    """
    positives = int(relevant.sum())
    negatives = len(relevant) - positives
    if not positives or not negatives:
        raise InputError("a calibration needs relevant and other passages; of one kind there is none")
    targets = torch.where(relevant, (positives + 1) / (positives + 2), 1 / (negatives + 2)).double()
    mean, spread = scores.double().mean(), scores.double().std().clamp(min=1e-12)
    normal = (scores.double() - mean) / spread
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(line[0] * normal + line[1], targets)
        value.backward()
        return value

    optimizer.step(loss)
    slope, intercept = line.tolist()
    if slope <= 0:
        raise InputError("a higher score means less relevant here: the checkpoint does not fit this dataset")
    return Calibration(float(spread) / slope, float(mean) - float(spread) * intercept / slope)


def table(relevance: torch.Tensor, relevant: torch.Tensor) -> str:
    """What each threshold keeps, in Markdown."""
    rows = ["| threshold | kept | of them relevant | of the relevant kept |", "| ---: | ---: | ---: | ---: |"]
    for threshold in THRESHOLDS:
        kept = relevance >= threshold
        found = int((kept & relevant).sum())
        share = f"{found / int(kept.sum()):.2f}" if kept.any() else ""
        rows.append(f"| {threshold} | {int(kept.sum())} | {share} | {found / int(relevant.sum()):.2f} |")
    return "\n".join(rows)
