"""The teacher's scores, for the losses that cannot do without."""

import torch


def needed(teacher_scores: torch.Tensor | None, loss: str) -> torch.Tensor:
    """`teacher_scores` in float32.

    Raises:
        ValueError: where there are none: the teacher gave an order alone.
    """
    if teacher_scores is None:
        raise ValueError(
            f"{loss} needs the teacher's scores, retrieved_passages[teacher_score]; build the dataset with a "
            "teacher that gives scores, or take a loss on the order alone, such as ranknet"
        )
    return teacher_scores.float()
