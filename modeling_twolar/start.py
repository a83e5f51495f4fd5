"""Loads a pretrained checkpoint as a reranker's start: backbone, tokenizer with the prompt, readout and head rows.

What the checkpoint declares is followed, so that an untrained reranker has the score that the checkpoint has in its
own library: a trained cross-encoder's, a language model's answer to its prompt, or a bi-encoder's similarity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .bi_encoder import Comparison
from .declared import Declared, declared
from .lengths import declared_length
from .prompt import (
    ANSWER_WORDS,
    MAX_LENGTH,
    PROMPT,
    answer_id,
    chat_prompt,
    own_pairs,
    t5_prompt,
    two_texts,
    whole_prompt,
    without_end_token,
    word_id,
)

# The cosine lies in [-1, 1]; RankNet wants score differences of a few units.
COSINE_SCALE = 20.0
# sentence-transformers' names of the poolings that a bi-encoder's start can have.
POOLINGS = {"mean": "mean", "cls": "first_token", "lasttoken": "last_token"}


@dataclass(frozen=True)
class Start:
    """What a reranker starts from. `head_rows`: as `ScoringHead.weight`; None for a classifier, which has its own."""

    backbone: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    readout: str
    head_rows: torch.Tensor | None
    head_scale: float = 1.0
    comparison: Comparison = field(default_factory=Comparison)


@dataclass(frozen=True)
class Checkpoint:
    """A pretrained checkpoint before its weights are read."""

    name_or_path: str
    config: PretrainedConfig
    tokenizer: PreTrainedTokenizerBase
    declared: Declared
    dtype: torch.dtype


def load_start(
    name_or_path: str,
    score_strategy: str,
    readout: str | None,
    dtype: torch.dtype,
    prompt_template: str | None = None,
    answer_words: tuple[str, str] | None = None,
) -> Start:
    """Load the start of a reranker; the arguments are those of `TwolarForReranking.from_backbone`.

    Raises:
        ValueError: for a checkpoint, readout, score strategy or prompt that do not fit together.
    """
    config = AutoConfig.from_pretrained(name_or_path)
    tokenizer = AutoTokenizer.from_pretrained(name_or_path)
    checkpoint = Checkpoint(name_or_path, config, tokenizer, declared(name_or_path), dtype)
    readout = _fitting_readout(checkpoint, readout)
    _require_fit(checkpoint, readout, score_strategy, prompt_template, answer_words)
    if readout == "classifier":
        return _from_classifier(checkpoint, prompt_template)
    if readout == "decoder_step":
        return _from_t5(checkpoint, score_strategy)
    if readout == "last_token":
        return _from_causal_lm(checkpoint, prompt_template, answer_words)
    return _from_bi_encoder(checkpoint) if readout == "bi_encoder" else _from_encoder(checkpoint, readout)


def _fitting_readout(checkpoint: Checkpoint, readout: str | None) -> str:
    allowed = _readouts(checkpoint.config, checkpoint.declared)
    if readout is not None and readout not in allowed:
        kind = checkpoint.config.model_type
        raise ValueError(f"readout {readout!r} does not fit {kind}; it takes {' or '.join(allowed)}")
    return readout or allowed[0]


def _readouts(config: PretrainedConfig, declared: Declared) -> tuple[str, ...]:
    """The readouts that a checkpoint can have, its own first."""
    if declared.pooling:
        return ("bi_encoder", "first_token", "mean")
    if declared.is_a("ForSequenceClassification"):
        return ("classifier",)
    if config.is_encoder_decoder:
        return ("decoder_step",)
    if declared.is_a("ForCausalLM", "LMHeadModel"):
        return ("last_token",)
    return ("first_token", "mean", "bi_encoder")


def _require_fit(
    checkpoint: Checkpoint,
    readout: str,
    score_strategy: str,
    prompt_template: str | None,
    answer_words: tuple[str, str] | None,
) -> None:
    name, kind = checkpoint.name_or_path, checkpoint.config.model_type
    if not checkpoint.tokenizer.is_fast:
        raise ValueError(f"{name} has no fast tokenizer; save it with a tokenizer.json")
    if score_strategy == "extra_id" and readout != "decoder_step":
        raise ValueError(f"score_strategy 'extra_id' needs a T5 backbone; {name} is {kind}")
    if readout == "classifier" and score_strategy != "difference":
        raise ValueError(
            f"score_strategy {score_strategy!r} does not fit {name}, whose own head gives the score"
        )
    if prompt_template is not None and readout not in ("last_token", "classifier"):
        raise ValueError(f"prompt_template is for causal language models; {name} is {kind}")
    if answer_words is not None and readout != "last_token":
        raise ValueError(f"answer_words are for causal language models; {name} is {kind}")


def _from_classifier(checkpoint: Checkpoint, prompt_template: str | None) -> Start:
    name = checkpoint.name_or_path
    if checkpoint.config.num_labels not in (1, 2):
        raise ValueError(f"{name} has {checkpoint.config.num_labels} labels; a score comes from 1 or 2")
    backbone = AutoModelForSequenceClassification.from_pretrained(name, dtype=checkpoint.dtype)
    backbone.config.use_cache = False
    _agree_on_padding(checkpoint.tokenizer, backbone.config)
    length = declared_length(checkpoint.tokenizer, checkpoint.declared, backbone) or MAX_LENGTH
    return Start(
        backbone, _pairs_tokenizer(checkpoint, prompt_template, length), "classifier", head_rows=None
    )


def _agree_on_padding(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> None:
    """Pad with the token that the model takes for padding: a decoder-only classifier reads the last one before it."""
    if config.pad_token_id is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
    elif tokenizer.pad_token is None:
        last = tokenizer.convert_ids_to_tokens(tokenizer("a", "a")["input_ids"][-1])
        tokens = (tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token)
        tokenizer.pad_token = next(token for token in tokens if token not in (None, last))
    config.pad_token_id = tokenizer.pad_token_id


def _pairs_tokenizer(
    checkpoint: Checkpoint, prompt_template: str | None, length: int
) -> PreTrainedTokenizerBase:
    """A tokenizer of pairs: by the prompt asked for, else as sentence-transformers' CrossEncoder tokenizes them."""
    tokenizer, own = checkpoint.tokenizer, checkpoint.declared
    if prompt_template is not None:
        return whole_prompt(tokenizer, prompt_template, length)
    prompt = chat_prompt(tokenizer, own)
    if prompt is not None:
        return whole_prompt(tokenizer, prompt, length, has_special_tokens=True)
    if own.default_prompt:
        raise ValueError(
            f"{checkpoint.name_or_path} puts {own.default_prompt!r} before queries, a start does not"
        )
    return own_pairs(tokenizer, length)


def _from_causal_lm(
    checkpoint: Checkpoint, prompt_template: str | None, answer_words: tuple[str, str] | None
) -> Start:
    model = AutoModelForCausalLM.from_pretrained(checkpoint.name_or_path, dtype=checkpoint.dtype)
    model.config.use_cache = False  # keys and values are of no use to a score
    if checkpoint.tokenizer.pad_token is None:
        checkpoint.tokenizer.pad_token = checkpoint.tokenizer.eos_token
    length = declared_length(checkpoint.tokenizer, checkpoint.declared, model) or MAX_LENGTH
    if checkpoint.declared.answer_ids is None:
        checkpoint = replace(checkpoint, tokenizer=without_end_token(checkpoint.tokenizer))
        tokenizer = _pairs_tokenizer(checkpoint, prompt_template or PROMPT, min(MAX_LENGTH, length))
    else:
        tokenizer = _pairs_tokenizer(checkpoint, prompt_template, length)
    backbone, scale = cast(PreTrainedModel, model.base_model), _logit_scale(model, tokenizer)
    rows = _rows(model, _answer_ids(checkpoint, tokenizer, answer_words))
    return Start(backbone, tokenizer, "last_token", rows, head_scale=scale)


def _answer_ids(
    checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase, answer_words: tuple[str, str] | None
) -> tuple[int | None, int]:
    """The tokens of `false` and `true`: of the words asked for, else those declared, else TWOLAR's."""
    if answer_words is None and checkpoint.declared.answer_ids is not None:
        return checkpoint.declared.answer_ids
    prompt = getattr(tokenizer, "prompt_template", "")
    false, true = (answer_id(tokenizer, prompt, word) for word in answer_words or ANSWER_WORDS)
    if false == true:
        raise ValueError(f"answer_words are the same token {tokenizer.convert_ids_to_tokens(true)!r}")
    return false, true


def _rows(model: PreTrainedModel, ids: Sequence[int | None]) -> torch.Tensor:
    """The output embeddings of these tokens; a row of zeros for none, whose logit does not count."""
    weight = model.get_output_embeddings().weight.detach()
    return torch.stack([torch.zeros_like(weight[0]) if token is None else weight[token] for token in ids])


@torch.no_grad()
def _logit_scale(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """The factor (1 in most models) between logits and the products of output embeddings and last hidden vector.

    Raises:
        ValueError: where there is more to the logits, a bias or a soft cap, which the scoring head has not.
    """
    ids = tokenizer("a", "a", return_tensors="pt")["input_ids"]
    logits = model(input_ids=ids).logits[0, -1].float()
    hidden = model.base_model(input_ids=ids).last_hidden_state[0, -1]
    products = (model.get_output_embeddings().weight @ hidden).float()
    scale, tolerance = float(logits @ products / (products @ products)), torch.finfo(model.dtype).eps ** 0.6
    if (logits - scale * products).abs().max() > tolerance * logits.abs().max():
        raise ValueError(f"logits of {model.config.model_type} are not products with its output embeddings")
    return 1.0 if abs(scale - 1) < tolerance else scale


def _from_t5(checkpoint: Checkpoint, score_strategy: str) -> Start:
    name, tokenizer = checkpoint.name_or_path, checkpoint.tokenizer
    model = AutoModelForSeq2SeqLM.from_pretrained(name, dtype=checkpoint.dtype)
    words = ["<extra_id_10>"] if score_strategy == "extra_id" else ["false", "true"]
    length = min(MAX_LENGTH, declared_length(checkpoint.tokenizer, checkpoint.declared, model) or MAX_LENGTH)
    scaled = model.config.scale_decoder_outputs
    return Start(
        backbone=_without_lm_head(model),
        tokenizer=t5_prompt(tokenizer, length),
        readout="decoder_step",
        head_rows=model.lm_head.weight[[word_id(tokenizer, word) for word in words]].detach().clone(),
        head_scale=model.config.d_model**-0.5 if scaled else 1.0,
    )


def _without_lm_head(model: PreTrainedModel) -> PreTrainedModel:
    with torch.device("meta"):  # a second model of random weights takes 12 s at flan-t5-base's shape
        backbone = AutoModel.from_config(model.config)
    backbone.shared, backbone.encoder, backbone.decoder = model.shared, model.encoder, model.decoder
    return backbone


def _from_encoder(checkpoint: Checkpoint, readout: str) -> Start:
    backbone = AutoModel.from_pretrained(checkpoint.name_or_path, dtype=checkpoint.dtype)
    rows = torch.zeros(2, backbone.config.hidden_size, dtype=checkpoint.dtype)
    length = declared_length(checkpoint.tokenizer, checkpoint.declared, backbone) or MAX_LENGTH
    return Start(backbone, own_pairs(checkpoint.tokenizer, length), readout, rows)


def _from_bi_encoder(checkpoint: Checkpoint) -> Start:
    """Cosine; with mean pooling, which trains every token's vector, late interaction too: it ranks better.

    See benchmarks/LOG.md for how much better.
    """
    _require_plain_pooling(checkpoint)
    own = checkpoint.declared
    backbone = AutoModel.from_pretrained(checkpoint.name_or_path, dtype=checkpoint.dtype)
    if checkpoint.tokenizer.pad_token is None:
        checkpoint.tokenizer.pad_token = checkpoint.tokenizer.eos_token
    pooling = POOLINGS[own.pooling[0]] if own.pooling else "mean"
    prompts = (own.prompt_of("query"), own.prompt_of("document", "passage", "corpus"))
    length = declared_length(checkpoint.tokenizer, checkpoint.declared, backbone) or MAX_LENGTH
    tokenizer, query_frame, passage_frame = two_texts(checkpoint.tokenizer, *prompts, length)
    size = backbone.config.hidden_size
    rows = torch.stack([torch.zeros(size), torch.full((size,), COSINE_SCALE)]).to(checkpoint.dtype)
    comparison = Comparison(pooling, pooling == "mean", query_frame, passage_frame)
    return Start(backbone, tokenizer, "bi_encoder", rows, comparison=comparison)


def _require_plain_pooling(checkpoint: Checkpoint) -> None:
    name, own = checkpoint.name_or_path, checkpoint.declared
    if own.pooling and (len(own.pooling) > 1 or own.pooling[0] not in POOLINGS):
        raise ValueError(f"{name} pools by {' and '.join(own.pooling)}; a start takes {', '.join(POOLINGS)}")
    extra = {module.kind for module in own.modules} - {"Transformer", "Pooling", "Normalize"}
    if extra:
        raise ValueError(f"{name} has a module {sorted(extra)[0]} behind its pooling, which a start has not")
    pooling = own.module("Pooling")
    if pooling is not None and own.prompts and not pooling.config.get("include_prompt", True):
        raise ValueError(f"{name} leaves its prompt out when it pools, which a start does not")
