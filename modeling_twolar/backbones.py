"""Loads a pretrained backbone, with the head rows, readout and tokenizer that a reranker starts from."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .prompt import prompt_template, segments_template

# The cosine lies in [-1, 1]; RankNet wants score differences of a few units.
COSINE_SCALE = 20.0
SEGMENT_BACKBONES = ("bert",)


@dataclass(frozen=True)
class BackboneStart:
    """What a reranker starts from. `head_rows`: as `ScoringHead.weight`."""

    backbone: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    readout: str
    head_rows: torch.Tensor
    head_scale: float


def load_backbone(
    name_or_path: str, score_strategy: str, readout: str | None, dtype: torch.dtype
) -> BackboneStart:
    """Load the start of a reranker from a pretrained checkpoint.

    Raises:
        ValueError: for a checkpoint, readout or score strategy that do not fit together.
    """
    config = AutoConfig.from_pretrained(name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    if config.is_encoder_decoder:
        _require(readout, ("decoder_step",), config)
        return _from_t5(name_or_path, tokenizer, score_strategy, dtype)
    if score_strategy == "extra_id":
        raise ValueError(
            f"score_strategy 'extra_id' needs a T5 backbone; {name_or_path} is {config.model_type}"
        )
    if _is_causal(config):
        _require(readout, ("last_token",), config)
        return _from_causal_lm(name_or_path, tokenizer, dtype)
    default = "segments" if _is_bi_encoder(name_or_path, config) else "first_token"
    _require(readout, ("first_token", "mean", "segments"), config)
    return _from_encoder(name_or_path, tokenizer, readout or default, dtype)


def _require(readout: str | None, allowed: tuple[str, ...], config: PretrainedConfig) -> None:
    if readout is not None and readout not in allowed:
        raise ValueError(
            f"readout {readout!r} does not fit {config.model_type}; it takes {' or '.join(allowed)}"
        )
    if readout == "segments" and config.model_type not in SEGMENT_BACKBONES:
        raise ValueError(f"readout 'segments' takes a BERT bi-encoder, not {config.model_type}")


def _is_causal(config: PretrainedConfig) -> bool:
    return any(name.endswith("ForCausalLM") for name in config.architectures or [])


def _is_bi_encoder(name_or_path: str, config: PretrainedConfig) -> bool:
    return config.model_type in SEGMENT_BACKBONES and (Path(name_or_path) / "modules.json").is_file()


def _from_t5(
    name_or_path: str, tokenizer: PreTrainedTokenizerBase, score_strategy: str, dtype: torch.dtype
) -> BackboneStart:
    model = AutoModelForSeq2SeqLM.from_pretrained(name_or_path, dtype=dtype)
    words = ["<extra_id_10>"] if score_strategy == "extra_id" else ["false", "true"]
    rows = model.lm_head.weight[[_token_id(tokenizer, word) for word in words]].detach().clone()
    scaled = model.config.scale_decoder_outputs
    return BackboneStart(
        backbone=_without_lm_head(model),
        tokenizer=prompt_template(tokenizer),
        readout="decoder_step",
        head_rows=rows,
        head_scale=model.config.d_model**-0.5 if scaled else 1.0,
    )


def _without_lm_head(model: PreTrainedModel) -> PreTrainedModel:
    backbone = AutoModel.from_config(model.config)
    backbone.shared, backbone.encoder, backbone.decoder = model.shared, model.encoder, model.decoder
    return backbone


def _from_causal_lm(
    name_or_path: str, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype
) -> BackboneStart:
    model = AutoModelForCausalLM.from_pretrained(name_or_path, dtype=dtype)
    rows = model.get_output_embeddings().weight[[_token_id(tokenizer, word) for word in ("false", "true")]]
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return BackboneStart(
        model.get_decoder(), prompt_template(tokenizer), "last_token", rows.detach().clone(), head_scale=1.0
    )


def _from_encoder(
    name_or_path: str, tokenizer: PreTrainedTokenizerBase, readout: str, dtype: torch.dtype
) -> BackboneStart:
    backbone = AutoModel.from_pretrained(name_or_path, dtype=dtype)
    hidden_size = backbone.config.hidden_size
    if readout == "segments":
        segment_embeddings = backbone.embeddings.token_type_embeddings.weight
        with torch.no_grad():
            segment_embeddings[1] = segment_embeddings[0]
        rows = torch.stack([torch.zeros(hidden_size), torch.full((hidden_size,), COSINE_SCALE)])
        return BackboneStart(backbone, segments_template(tokenizer), readout, rows.to(dtype), head_scale=1.0)
    rows = torch.zeros(2, hidden_size, dtype=dtype)
    return BackboneStart(backbone, tokenizer, readout, rows, head_scale=1.0)


def _token_id(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ValueError(f"{word!r} is not one token of this vocabulary; the score needs it as one")
    return ids[0]
