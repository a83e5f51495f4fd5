"""The scoring head: the few vocabulary rows that the score needs, instead of the whole LM head.

With h the backbone's vector and w_t, w_f the rows of `true` and `false`:
- `difference` (TWOLAR): h·w_t - h·w_f
- `softmax` (monoT5, Nogueira et al. 2020): log of exp(h·w_t) / (exp(h·w_t) + exp(h·w_f))
- `extra_id` (RankT5, Zhuang et al. 2023): h·w of `<extra_id_10>`
"""

import torch
from torch import nn
from torch.nn.functional import logsigmoid

FALSE, TRUE = 0, 1


class ScoringHead(nn.Module):
    """Scores from hidden vectors.

    `weight`: (2, hidden_size), rows `false` and `true`; (1, hidden_size) for `extra_id`.
    """

    def __init__(self, hidden_size: int, score_strategy: str, scale: float) -> None:
        super().__init__()
        self.score_strategy = score_strategy
        self.scale = scale
        self.weight = nn.Parameter(torch.empty(1 if score_strategy == "extra_id" else 2, hidden_size))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Scores, (batch,) float32, of hidden vectors (batch, hidden_size): higher is more relevant."""
        with torch.autocast(hidden.device.type, enabled=False):
            logits = (self.scale * hidden.float()) @ self.weight.float().T
        if self.score_strategy == "extra_id":
            return logits[:, 0]
        difference = logits[:, TRUE] - logits[:, FALSE]
        return logsigmoid(difference) if self.score_strategy == "softmax" else difference
