"""A reranker as a checkpoint of a plain architecture of transformers, which opens without our code.

Exact for a language model, whose classifier's one row is w_true - w_false, and for a trained cross-encoder of one
label, which is its own twin. T5 has no classifier that reads the decoder's first step, an encoder's classifiers read
their own pooler, and a bi-encoder is no classifier: they have none.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from modeling_twolar import TwolarForReranking
from modeling_twolar.head import FALSE, TRUE
from modeling_twolar.modeling_twolar import RAW_SCORES


def twin(model: TwolarForReranking) -> PreTrainedModel | None:
    """The model of a plain architecture with the same scores, up to rounding; None where there is none.

    The softmax strategy's scores are log-probabilities; its twin gives the difference, whose order is the same.
    """
    if model.config.readout == "classifier":
        if model.backbone.config.num_labels != 1:
            return None
        model.backbone.config = plain_config(model)
        return model.backbone
    if model.config.readout != "last_token" or model.config.score_strategy == "extra_id":
        return None
    config = plain_config(model)
    with torch.device("meta"):
        plain = AutoModelForSequenceClassification.from_config(config, dtype=model.dtype)
    setattr(plain, plain.base_model_prefix, model.backbone)
    weight = cast(torch.Tensor, model.head.weight).detach()
    row = model.config.head_scale * (weight[TRUE] - weight[FALSE])
    cast(Any, plain).score.weight = torch.nn.Parameter(row[None].clone())
    return plain.eval()


def plain_config(model: TwolarForReranking) -> PretrainedConfig:
    """The backbone's configuration, of a classifier with one label, as serving engines ask for it."""
    config = deepcopy(model.backbone.config)
    config.num_labels = 1
    config.problem_type = "regression"  # a pipeline squeezes no score of it, nor does sentence-transformers
    config.sentence_transformers = RAW_SCORES
    config.id2label, config.label2id = {0: "LABEL_0"}, {"LABEL_0": 0}
    config.pad_token_id = model.tokenizer.pad_token_id
    if getattr(config, "max_position_embeddings", None) is None:  # T5 counts distances; engines want a number
        config.max_position_embeddings = model.tokenizer.model_max_length
    return config


def write_twin(plain: PreTrainedModel, folder: Path) -> None:
    """Write the twin's weights and configuration."""
    plain.config.architectures = [type(plain).__name__]
    plain.save_pretrained(folder)
