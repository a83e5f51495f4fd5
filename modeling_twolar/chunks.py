"""Scores a few pairs at a time: less padding, or less memory, and the gradients of all."""

from collections.abc import Callable

import torch
from torch.utils.checkpoint import checkpoint

Inputs = dict[str, torch.Tensor]


def scores_in_chunks(
    scores_of: Callable[[Inputs], torch.Tensor], inputs: Inputs, pairs_per_chunk: int, keep_activations: bool
) -> torch.Tensor:
    """Scores, (batch,), of at most `pairs_per_chunk` pairs at a time.

    Pairs of similar length share a chunk, without the padding that the longest pair of the batch asked for.

    A loss over a whole list needs all scores, but not all activations: unless `keep_activations`, each chunk
    keeps only its scores, and is run again, with the same dropout, when its turn in the backward pass comes (Gao
    et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", arXiv 2101.06983; here by
    PyTorch's activation checkpointing). The gradients are exact either way.

    Args:
        inputs: tensors (batch, length), `attention_mask` among them.
    """
    order = inputs["attention_mask"].sum(dim=1).argsort(descending=True, stable=True)

    def own_scores(own: torch.Tensor) -> torch.Tensor:
        used = inputs["attention_mask"][own].any(dim=0)
        return scores_of({name: tensor[own][:, used] for name, tensor in inputs.items()})

    if keep_activations:
        scores = [own_scores(own) for own in order.split(pairs_per_chunk)]
    else:
        scores = [checkpoint(own_scores, own, use_reentrant=False) for own in order.split(pairs_per_chunk)]
    return torch.cat(scores)[order.argsort()]
