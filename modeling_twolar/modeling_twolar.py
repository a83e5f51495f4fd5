"""TWOLAR: a passage reranker distilled from a large language model.

Source: Baldelli et al., "TWOLAR: a TWO-step LLM-Augmented distillation method for passage Reranking",
ECIR 2024, arXiv 2403.17759. The score of a passage is logit('true') - logit('false').
"""

import os
from typing import Any, Literal

import torch
from torch import nn
from transformers import AutoModel, PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput

from .backbones import load_backbone
from .configuration_twolar import TwolarConfig
from .head import ScoringHead
from .packaging import copy_code
from .quantization import quantize_linears
from .readouts import CLOSED_GATE, Segments, make_readout
from .scoring import RerankingModel

AUTO_MAP = {
    "AutoConfig": "configuration_twolar.TwolarConfig",
    "AutoModel": "modeling_twolar.TwolarForReranking",
    "AutoModelForSequenceClassification": "modeling_twolar.TwolarForReranking",
}
# sentence-transformers' CrossEncoder reads this: raw scores, no sigmoid.
RAW_SCORES = {"activation_fn": "torch.nn.modules.linear.Identity"}

# The sample on which `quantize` sees activations: pairs and tokens, and how many of these are the query's.
SAMPLE_SHAPE = (8, 128)
SAMPLE_QUERY_TOKENS = 16


class TwolarForReranking(RerankingModel):
    """A backbone, a readout of its hidden states, and a head that turns it into one score."""

    config_class = TwolarConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _is_quantized = False
    _no_split_modules = ["T5Block", "BertLayer"]  # noqa: RUF012

    def __init__(self, config: TwolarConfig) -> None:
        super().__init__(config)
        if config.backbone_config is None:
            raise ValueError(
                "a TwolarConfig needs a backbone_config; start with TwolarForReranking.from_backbone"
            )
        self.backbone = AutoModel.from_config(config.backbone_config)
        self.readout = make_readout(config.readout, config.backbone_config)
        self.head = ScoringHead(config.backbone_config.hidden_size, config.score_strategy, config.head_scale)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, ScoringHead):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, Segments):
            nn.init.constant_(module.gate, CLOSED_GATE)

    @classmethod
    def from_backbone(
        cls,
        name_or_path: str | os.PathLike[str],
        score_strategy: str = "difference",
        readout: str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> "TwolarForReranking":
        """A reranker that starts from a pretrained model, head and prompt included.

        Args:
            name_or_path: a T5 (`google/flan-t5-*`, `castorini/monot5-*`, `Dundalia/TWOLAR-*`), an encoder, a
                bi-encoder of sentence-transformers, or a causal language model.
            score_strategy: `difference` (TWOLAR), `softmax` (monoT5) or `extra_id` (RankT5, T5 only).
            readout: which hidden vector is scored; by default the one that fits the backbone.
            dtype: of the weights.

        Raises:
            ValueError: for a backbone, strategy or readout that do not fit together.
        """
        start = load_backbone(os.fspath(name_or_path), score_strategy, readout, dtype)
        start.backbone.config._name_or_path = (
            ""  # a path of this machine, which a checkpoint would carry along
        )
        config = TwolarConfig(
            backbone_config=start.backbone.config,
            score_strategy=score_strategy,
            readout=start.readout,
            head_scale=start.head_scale,
            pad_token_id=start.tokenizer.pad_token_id,
            auto_map=AUTO_MAP,
            sentence_transformers=RAW_SCORES,
            dtype=dtype,
        )
        model = cls(config).to(dtype)  # type: ignore[arg-type]
        model.backbone.load_state_dict(start.backbone.state_dict())
        with torch.no_grad():
            model.head.weight.copy_(start.head_rows)
        model.tokenizer = start.tokenizer
        return model.eval()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Score each (query, passage) pair.

        Args:
            input_ids, attention_mask, token_type_ids: (batch, length) int64, from the model's tokenizer.
            labels: (batch,) float, optional: adds the mean squared error of the scores as `loss`.

        Returns:
            `logits` (batch, 1) float32: the score, higher is more relevant.
        """
        hidden = self.readout(self.backbone, input_ids, attention_mask, token_type_ids)
        scores = self.head(hidden)
        loss = None if labels is None else nn.functional.mse_loss(scores, labels.view(-1).float())
        return SequenceClassifierOutput(loss=loss, logits=scores[:, None])

    def quantize(self, scheme: Literal["int8"] = "int8") -> "TwolarForReranking":
        """This model with int8 matrix products, for scoring on a CPU; the weights are gone afterwards.

        Of a T5 only the encoder, where the work is; `quantization.py` says how activations are rounded. What they
        are like is seen on seeded random tokens.

        Raises:
            ValueError: for another scheme, a model that is not on a CPU, or a PyTorch without oneDNN.
        """
        if scheme != "int8":
            raise ValueError(f"quantization scheme {scheme!r} is not 'int8', the only one")
        self.float().eval().requires_grad_(False)
        is_t5 = self.config.readout == "decoder_step"
        quantize_linears(self.backbone.encoder if is_t5 else self.backbone, self._read_random_tokens)
        self._is_quantized = True
        return self

    @torch.enable_grad()  # T5's packed way, for scoring alone, does not call every layer
    def _read_random_tokens(self) -> None:
        generator = torch.Generator().manual_seed(0)
        vocabulary_size = self.config.backbone_config.vocab_size
        input_ids = torch.randint(vocabulary_size, SAMPLE_SHAPE, generator=generator)
        is_passage = (torch.arange(SAMPLE_SHAPE[1]) >= SAMPLE_QUERY_TOKENS).long().expand(SAMPLE_SHAPE)
        segments = (
            {"token_type_ids": is_passage} if "token_type_ids" in self.tokenizer.model_input_names else {}
        )
        self(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), **segments)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> None:
        """Write weights, configuration, tokenizer and this code: a folder that loads anywhere."""
        if self._is_quantized:
            raise ValueError(
                "an int8 model cannot be saved; save it before quantize, and quantize after loading"
            )
        super().save_pretrained(save_directory, is_main_process, *args, **kwargs)
        if is_main_process:
            copy_code(os.fspath(save_directory))
            self.tokenizer.save_pretrained(save_directory)

    def get_input_embeddings(self) -> nn.Module:
        """The backbone's token embeddings."""
        return self.backbone.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the backbone's token embeddings."""
        self.backbone.set_input_embeddings(value)


def load_reranker(
    name_or_path: str | os.PathLike[str], score_strategy: str = "difference"
) -> TwolarForReranking:
    """A TWOLAR checkpoint; from any other pretrained model, the untrained reranker that starts from it.

    Args:
        name_or_path: a checkpoint, or what `TwolarForReranking.from_backbone` takes.
        score_strategy: of an untrained reranker; a checkpoint has its own.

    Raises:
        OSError: for a model that is not there.
        ValueError: for one that cannot be a reranker.
    """
    settings, _ = PretrainedConfig.get_config_dict(name_or_path)
    if settings.get("model_type") == TwolarConfig.model_type:
        return TwolarForReranking.from_pretrained(name_or_path)
    return TwolarForReranking.from_backbone(name_or_path, score_strategy)
