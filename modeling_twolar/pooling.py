"""One vector of a text's tokens."""

import torch


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(batch, hidden_size) of (batch, length, hidden_size): the tokens of `mask`, (batch, length).

    Args:
        pooling: `mean`; `first_token`, the row's first; or `last_token`, the last of `mask`, on whichever side
            padding stands.
    """
    if pooling == "mean":
        return masked_mean(hidden, mask)
    if pooling == "first_token":
        return hidden[:, 0]
    positions = torch.arange(mask.shape[1], device=mask.device)
    last = (mask * positions).argmax(dim=1)
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


def masked_mean(hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean of (batch, length, hidden_size) over the tokens of `mask`, (batch, length)."""
    weights = mask.to(hidden.dtype)[:, :, None]
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
