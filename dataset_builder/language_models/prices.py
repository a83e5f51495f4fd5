"""What a model's tokens cost."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import yaml

from dataset_builder.teacher_name import PROVIDERS

_PRICES = Path(__file__).parent / "prices.yaml"


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    prompt: float
    completion: float

    @classmethod
    def of(cls, model: str) -> Self | None:
        """The price in `prices.yaml`, None for a model it lacks; dated versions cost what the model does, and so it
        does where its provider is named."""
        prices = _price_table().models
        for provider in PROVIDERS:
            model = model.removeprefix(f"{provider}/")
        families = [name for name in prices if model == name or model.startswith(f"{name}-20")]
        return cls(**prices[families[0]]) if families else None

    def cost(self, prompt_tokens: int, completion_tokens: int, batch: bool = False) -> float:
        """US dollars for so many tokens."""
        full = (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6
        return full * _price_table().batch_share if batch else full


@dataclass(frozen=True, slots=True)
class _PriceTable:
    models: dict[str, dict[str, float]]
    batch_share: float


@cache
def _price_table() -> _PriceTable:
    return _PriceTable(**yaml.safe_load(_PRICES.read_text()))
