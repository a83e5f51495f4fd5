"""A pair's score is the same on whichever side its row is padded."""

import pytest
import torch

from modeling_twolar import TwolarForReranking, load_reranker
from tests.modeling.small_models import (
    CLASSIFIERS,
    LANGUAGE_MODELS,
    PAIRS,
    save_classifier,
    save_language_model,
)
from tests.modeling.test_bi_encoder import save


def bi_encoder(kind, pooling):
    return lambda folder: load_reranker(save(folder, kind, pooling))


def encoder(kind, readout):
    return lambda folder: TwolarForReranking.from_backbone(save(folder, kind, "mean"), readout=readout)


MODELS = {
    **{f"classifier-{n}": lambda folder, n=n: load_reranker(save_classifier(folder, n)) for n in CLASSIFIERS},
    **{f"lm-{n}": lambda folder, n=n: load_reranker(save_language_model(folder, n)) for n in LANGUAGE_MODELS},
    **{
        f"bi-encoder-{kind}-{pooling}": bi_encoder(kind, pooling)
        for kind, pooling in [("bert", "mean"), ("xlm-roberta", "cls"), ("qwen3", "lasttoken")]
    },
    **{
        f"{readout}-{kind}": encoder(kind, readout)
        for kind in ("bert", "xlm-roberta")
        for readout in ("first_token", "mean")
    },
}


def scores_on(side, model):
    """By `forward`, of a batch with a pair of every length."""
    queries, passages = map(list, zip(*PAIRS, strict=True))
    batch = model.tokenizer(queries, passages, padding=True, padding_side=side, return_tensors="pt")
    assert batch["attention_mask"][:, 0 if side == "left" else -1].sum() == 1
    return model(**batch).logits[:, 0].detach()


def require_same_scores(model):
    torch.manual_seed(0)
    if model.config.readout != "classifier":
        torch.nn.init.normal_(model.head.weight)
    expected = scores_on("right", model)
    assert expected.std() > 1e-2
    torch.testing.assert_close(scores_on("left", model), expected, atol=1e-5, rtol=1e-5)
    model.tokenizer.padding_side = "left"
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_padding_on_the_left_gives_the_scores_of_padding_on_the_right(tmp_path, name):
    require_same_scores(MODELS[name](tmp_path))


@pytest.mark.parametrize("strategy", ["difference", "softmax", "extra_id"])
def test_a_t5_padded_on_the_left_gives_the_same_scores(tiny_t5, strategy):
    require_same_scores(load_reranker(tiny_t5(False, "gated-gelu"), strategy))


def test_a_bi_encoder_padded_on_the_left_is_scored_in_chunks_alike(tmp_path):
    model = MODELS["bi-encoder-bert-mean"](tmp_path)
    queries, passages = map(list, zip(*PAIRS, strict=True))
    batch = model.tokenizer(queries, passages, padding=True, padding_side="left", return_tensors="pt")
    chunked = model(**batch, pairs_per_chunk=2).logits[:, 0].detach()
    torch.testing.assert_close(chunked, scores_on("right", model), atol=1e-5, rtol=1e-5)
