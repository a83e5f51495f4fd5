"""Scores a few passages at a time: less padding, or less memory, and the gradients of all."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import SequenceClassifierOutput

from modeling_twolar import TwolarForReranking
from training.arguments import DistillationArguments

# On a CPU padding costs its full price, and larger products gain nothing (benchmarks/LOG.md).
PASSAGES_PER_CPU_PRODUCT = 8


def arrange_scoring(model: TwolarForReranking, arguments: DistillationArguments) -> None:
    """Have `model` score in chunks where `--passages_per_chunk` asks for it, or where the device gains by it."""
    if arguments.passages_per_chunk is not None:
        score_in_chunks(model, arguments.passages_per_chunk)
    elif arguments.device.type == "cpu":
        score_in_chunks(model, PASSAGES_PER_CPU_PRODUCT, keep_activations=True)


def score_in_chunks(
    model: TwolarForReranking, passages_per_chunk: int, *, keep_activations: bool = False
) -> None:
    """Have `model` score at most `passages_per_chunk` pairs at a time.

    Pairs of similar length share a chunk, without the padding that the longest pair of the batch asked for.

    A loss over a whole list needs all scores, but not all activations: unless `keep_activations`, each chunk
    keeps only its scores, and is run again, with the same dropout, when its turn in the backward pass comes (Gao
    et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", arXiv 2101.06983; here by
    PyTorch's activation checkpointing). The gradients are exact either way.
    """
    whole = model.forward

    def forward(**inputs: Any) -> SequenceClassifierOutput:
        order = inputs["attention_mask"].sum(dim=1).argsort(descending=True, stable=True)
        chunks = order.split(passages_per_chunk)
        if keep_activations:
            logits = [logits_of(own, inputs) for own in chunks]
        else:
            logits = [checkpoint(logits_of, own, inputs, use_reentrant=False) for own in chunks]
        return SequenceClassifierOutput(logits=torch.cat(logits)[order.argsort()])

    def logits_of(own: torch.Tensor, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        used = inputs["attention_mask"][own].any(dim=0)
        logits: torch.Tensor = whole(**{name: tensor[own][:, used] for name, tensor in inputs.items()})[
            "logits"
        ]
        return logits

    # On the model itself, not around it: DistributedDataParallel and PEFT call it as ever.
    model.forward = forward  # type: ignore[method-assign,assignment]
