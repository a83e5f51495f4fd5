"""TWOLAR: a passage reranker distilled from a large language model.

Source: Baldelli et al., "TWOLAR: a TWO-step LLM-Augmented distillation method for passage Reranking",
ECIR 2024, arXiv 2403.17759. The score of a passage is logit('true') - logit('false').
"""

import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from .chunks import scores_in_chunks
from .configuration_twolar import TwolarConfig
from .head import ScoringHead
from .layers import with_layers
from .packaging import copy_code
from .quantizable import QuantizableModel
from .readouts import make_readout
from .start import load_start

AUTO_MAP = {
    "AutoConfig": "configuration_twolar.TwolarConfig",
    "AutoModel": "modeling_twolar.TwolarForReranking",
    "AutoModelForSequenceClassification": "modeling_twolar.TwolarForReranking",
}
# sentence-transformers' CrossEncoder reads this: raw scores, no sigmoid.
RAW_SCORES = {"activation_fn": "torch.nn.modules.linear.Identity"}


class TwolarForReranking(QuantizableModel):
    """A backbone, a readout of its hidden states, and a head that turns it into one score."""

    config_class = TwolarConfig
    base_model_prefix = "backbone"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["T5Block", "BertLayer"]  # noqa: RUF012
    # Weights of BERT's pooler, which no readout reads, in checkpoints of the first release.
    _keys_to_ignore_on_load_unexpected = [r"^backbone\.pooler\."]  # noqa: RUF012

    def __init__(self, config: TwolarConfig, backbone: PreTrainedModel | None = None) -> None:
        """`backbone`: one with its weights; otherwise random ones are made from the configuration."""
        super().__init__(config)
        if config.backbone_config is None:
            raise ValueError(
                "a TwolarConfig needs a backbone_config; start with TwolarForReranking.from_backbone"
            )
        self.backbone = _random_backbone(config) if backbone is None else backbone
        self.readout = make_readout(config)
        if config.readout == "classifier":
            self.head: nn.Module = nn.Identity()
        else:
            _drop_pooler(self.backbone)
            self.head = ScoringHead(
                cast(Any, config.backbone_config).hidden_size, config.score_strategy, config.head_scale
            )
        if config.quantization:
            self._prepare_int8()
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, ScoringHead):
            nn.init.normal_(module.weight, std=0.02)

    @classmethod
    def from_backbone(
        cls,
        name_or_path: str | os.PathLike[str],
        score_strategy: str = "difference",
        readout: str | None = None,
        dtype: torch.dtype = torch.float32,
        *,
        layers: Sequence[int] | None = None,
        num_layers: int | None = None,
        prompt_template: str | None = None,
        answer_words: tuple[str, str] | None = None,
    ) -> "TwolarForReranking":
        """A reranker that starts from a pretrained model, head and prompt included.

        Args:
            name_or_path: a T5 (`google/flan-t5-*`, `castorini/monot5-*`, `Dundalia/TWOLAR-*`), a trained
                cross-encoder (`*ForSequenceClassification`, or with sentence-transformers' `LogitScore`), a
                bi-encoder of sentence-transformers, a causal language model, or an encoder.
            score_strategy: `difference` (TWOLAR), `softmax` (monoT5) or `extra_id` (RankT5, T5 only).
            readout: which hidden vector is scored; by default the one that fits the backbone.
            dtype: of the weights.
            layers: the only ones of the backbone's layers that are kept, ascending from 0; see `layers.py`.
            num_layers: keep so many, evenly spaced.
            prompt_template: a language model's prompt, with one `{query}` and one `{passage}`. Default: what the
                checkpoint declares, else TWOLAR's.
            answer_words: of a language model, for not relevant and relevant, as they follow the prompt: with the
                blank before them, where there is one. Default: as for the prompt.

        Raises:
            ValueError: for a backbone, strategy, readout, prompt or layers that do not fit together.
        """
        start = load_start(
            os.fspath(name_or_path), score_strategy, readout, dtype, prompt_template, answer_words
        )
        backbone = with_layers(start.backbone, layers, num_layers)
        backbone.config._name_or_path = ""  # a path of this machine, which a checkpoint would carry along
        config = TwolarConfig(
            backbone_config=deepcopy(backbone.config),  # the new configuration sets its attention anew
            score_strategy=score_strategy,
            readout=start.readout,
            head_scale=start.head_scale,
            pooling=start.comparison.pooling,
            late_interaction=start.comparison.late_interaction,
            query_frame=start.comparison.query_frame,
            passage_frame=start.comparison.passage_frame,
            pad_token_id=start.tokenizer.pad_token_id,
            auto_map=AUTO_MAP,
            sentence_transformers=RAW_SCORES,
            dtype=dtype,
        )
        model = cls(config, backbone).to(dtype)  # type: ignore[arg-type]
        if start.head_rows is not None:
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
        pairs_per_chunk: int | None = None,
        keep_activations: bool = True,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Score each (query, passage) pair.

        Args:
            input_ids, attention_mask, token_type_ids: (batch, length) int64, from the model's tokenizer.
            labels: (batch,) float, optional: adds the mean squared error of the scores as `loss`.
            pairs_per_chunk, keep_activations: how many pairs are scored at once; see `chunks.py`.

        Returns:
            `logits` (batch, 1) float32: the score, higher is more relevant.
        """
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        inputs = _padding_behind(inputs)
        if pairs_per_chunk is None:
            scores = self._scores(inputs)
        else:
            scores = scores_in_chunks(self._scores, inputs, pairs_per_chunk, keep_activations)
        loss = None if labels is None else nn.functional.mse_loss(scores, labels.view(-1).float())
        return SequenceClassifierOutput(loss=loss, logits=scores[:, None])

    def _scores(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        hidden = self.readout(
            self.backbone, inputs["input_ids"], inputs["attention_mask"], inputs.get("token_type_ids")
        )
        return self.head(hidden)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> None:
        """Write weights, configuration, tokenizer and this code: a folder that loads anywhere."""
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
    name_or_path: str | os.PathLike[str],
    score_strategy: str = "difference",
    *,
    layers: Sequence[int] | None = None,
    num_layers: int | None = None,
    prompt_template: str | None = None,
    answer_words: tuple[str, str] | None = None,
) -> TwolarForReranking:
    """A TWOLAR checkpoint; from any other pretrained model, the untrained reranker that starts from it.

    Args:
        name_or_path: a checkpoint, or what `TwolarForReranking.from_backbone` takes.
        score_strategy, prompt_template, answer_words: of an untrained reranker; a checkpoint has its own.
        layers, num_layers: the layers that are kept, of either; see `TwolarForReranking.from_backbone`.

    Raises:
        OSError: for a model that is not there.
        ValueError: for one that cannot be a reranker.
    """
    path = os.fspath(name_or_path)
    # transformers would call it an illegal name of the Hub's.
    if path.startswith(("/", ".", "~")) and not os.path.exists(path):
        raise FileNotFoundError(f"{path} does not exist")
    settings, _ = PretrainedConfig.get_config_dict(name_or_path)
    if settings.get("model_type") != TwolarConfig.model_type:
        return TwolarForReranking.from_backbone(
            name_or_path,
            score_strategy,
            layers=layers,
            num_layers=num_layers,
            prompt_template=prompt_template,
            answer_words=answer_words,
        )
    if prompt_template is not None or answer_words is not None:
        raise ValueError(f"{name_or_path} is a TWOLAR checkpoint, which has its own prompt and answer words")
    model = TwolarForReranking.from_pretrained(name_or_path)
    model.config.backbone_config = with_layers(model.backbone, layers, num_layers).config
    return model


def _padding_behind(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each row from its first real token on: absolute positions and a first token's vector count from there."""
    mask = inputs["attention_mask"]
    places = torch.arange(mask.shape[1], device=mask.device) + mask.long().argmax(dim=1, keepdim=True)
    return {name: tensor.gather(1, places % mask.shape[1]) for name, tensor in inputs.items()}


def _random_backbone(config: TwolarConfig) -> PreTrainedModel:
    kind = AutoModelForSequenceClassification if config.readout == "classifier" else AutoModel
    return kind.from_config(config.backbone_config)


def _drop_pooler(backbone: PreTrainedModel) -> None:
    """No readout reads BERT's pooler, and distributed training refuses weights without a gradient."""
    if getattr(backbone, "pooler", None) is not None:
        backbone.pooler = None  # type: ignore[assignment]
