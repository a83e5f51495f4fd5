"""Scores a few passages at a time: memory for some, and the gradients of all."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import SequenceClassifierOutput

from modeling_twolar import TwolarForReranking


def score_in_chunks(model: TwolarForReranking, passages_per_chunk: int) -> None:
    """Have `model` score at most `passages_per_chunk` pairs at a time.

    A loss over a whole list needs all scores, but not all activations: each chunk keeps only its scores, and is
    run again, with the same dropout, when its turn in the backward pass comes (Gao et al., "Scaling Deep
    Contrastive Learning Batch Size under Memory Limited Setup", arXiv 2101.06983; here by PyTorch's activation
    checkpointing). So the gradients are exact. Pairs of similar length share a chunk, without the padding that
    the longest pair of the batch asked for.
    """
    whole = model.forward

    def forward(**inputs: Any) -> SequenceClassifierOutput:
        order = inputs["attention_mask"].sum(dim=1).argsort(descending=True, stable=True)
        logits = torch.cat(
            [
                checkpoint(logits_of, own, inputs, use_reentrant=False)
                for own in order.split(passages_per_chunk)
            ]
        )
        return SequenceClassifierOutput(logits=logits[order.argsort()])

    def logits_of(own: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        used = inputs["attention_mask"][own].any(dim=0)
        logits: torch.Tensor = whole(**{name: tensor[own][:, used] for name, tensor in inputs.items()})[
            "logits"
        ]
        return logits

    # On the model itself, not around it: DistributedDataParallel and PEFT call it as ever.
    model.forward = forward  # type: ignore[method-assign,assignment]
