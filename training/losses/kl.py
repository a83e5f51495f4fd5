"""KL divergence: the student's distribution over a query's passages is to be the teacher's."""

import torch

from training.losses.lists import log_softmax
from training.losses.teacher_scores import needed


def kl(
    scores: torch.Tensor,
    ranks: torch.Tensor,
    teacher_scores: torch.Tensor | None = None,
    is_source: torch.Tensor | None = None,
    *,
    temperature: float = 1.0,
) -> torch.Tensor:
    """temperature² KL(softmax(t / temperature) || softmax(s / temperature)), then the mean over queries.

    Source: Hinton et al., "Distilling the Knowledge in a Neural Network", arXiv 1503.02531: the factor
    temperature² keeps the gradients' size as the temperature rises; over passages, Lin et al., "Distilling
    Dense Representations for Ranking using Tightly-Coupled Teachers", arXiv 2010.11386. Equals
    sentence-transformers' DistillKLDivLoss. Arguments: see `training.losses`.

    Args:
        temperature: above 1 the passages that the teacher finds less relevant count for more.

    Returns:
        Scalar, in float32. A query without passages counts as 0.

    Raises:
        ValueError: where the teacher gave an order but no scores.
    """
    real = ranks > 0
    teacher = log_softmax(needed(teacher_scores, "kl") / temperature, real)
    student = log_softmax(scores.float() / temperature, real)
    divergence = (teacher.exp() * (teacher - student)).where(real, 0.0).sum(dim=1)
    return temperature**2 * divergence.mean()
