"""Configuration of a TWOLAR reranker: its backbone's, and how hidden states become a score."""

from collections.abc import Sequence
from typing import Any, ClassVar

from transformers import AutoConfig, PretrainedConfig

SCORE_STRATEGIES = ("difference", "softmax", "extra_id")
READOUTS = ("decoder_step", "first_token", "mean", "bi_encoder", "last_token", "classifier")
POOLINGS = ("mean", "first_token", "last_token")


def require_scheme(quantization: str) -> None:
    """Raise `ValueError` for a quantization that there is not."""
    if quantization != "int8":
        raise ValueError(f"quantization {quantization!r} is not 'int8', the only one")


class TwolarConfig(PretrainedConfig):
    """A backbone with a scoring head.

    Args:
        backbone_config: configuration of the backbone, or its dictionary with a `model_type`.
        score_strategy: `difference` (TWOLAR), `softmax` (monoT5) or `extra_id` (RankT5).
        readout: which vector of the backbone the head sees; see `readouts.py`.
        head_scale: factor on that vector; d_model ** -0.5 for T5 v1.0, whose output embeddings are tied.
        score_temperature, score_shift: a relevance from 0 to 1 is sigmoid((score - shift) / temperature); fitted by
            `python -m training.calibrate`.
        quantization: `int8` of a checkpoint with int8 weights, for scoring on a CPU; see `quantization.py`.
        pooling, late_interaction, query_frame, passage_frame: of the readout `bi_encoder`; see `bi_encoder.py`.
    """

    model_type = "twolar"
    sub_configs: ClassVar[dict[str, type]] = {"backbone_config": AutoConfig}

    def __init__(
        self,
        backbone_config: PretrainedConfig | dict[str, Any] | None = None,
        score_strategy: str = "difference",
        readout: str = "decoder_step",
        head_scale: float = 1.0,
        pooling: str = "mean",
        late_interaction: bool = True,
        query_frame: Sequence[int] = (1, 1),
        passage_frame: Sequence[int] = (1, 1),
        score_temperature: float = 1.0,
        score_shift: float = 0.0,
        quantization: str | None = None,
        **kwargs: Any,
    ) -> None:
        if isinstance(backbone_config, dict):
            backbone_config = AutoConfig.for_model(**backbone_config)
        if score_strategy not in SCORE_STRATEGIES:
            raise ValueError(f"score_strategy {score_strategy!r} is not one of {', '.join(SCORE_STRATEGIES)}")
        if readout not in READOUTS:
            raise ValueError(f"readout {readout!r} is not one of {', '.join(READOUTS)}")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling {pooling!r} is not one of {', '.join(POOLINGS)}")
        if quantization is not None:
            require_scheme(quantization)
        if not score_temperature > 0:
            raise ValueError(f"score_temperature {score_temperature} is not above 0")
        self.backbone_config = backbone_config
        self.score_strategy = score_strategy
        self.readout = readout
        self.head_scale = head_scale
        self.pooling = pooling
        self.late_interaction = late_interaction
        self.query_frame = list(query_frame)
        self.passage_frame = list(passage_frame)
        self.score_temperature = score_temperature
        self.score_shift = score_shift
        self.quantization = quantization
        kwargs.setdefault("num_labels", 1)
        # A pipeline then gives the scores as they are: a sigmoid of scores like 20 is 1.0 for every passage.
        kwargs.setdefault("problem_type", "regression")
        super().__init__(**kwargs)
