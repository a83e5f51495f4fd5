"""A trained cross-encoder starts with the score that it has in sentence-transformers."""

import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import LlamaForSequenceClassification

from modeling_twolar import TwolarForReranking, load_reranker
from tests.modeling.small_models import CLASSIFIERS, END, PAIRS, save_classifier

RAW = torch.nn.Identity()


def raw_scores(folder, pairs, batch_size=32):
    """The library's own logits: (num_pairs,), or (num_pairs, 2) for two labels."""
    cross_encoder = CrossEncoder(str(folder))
    if cross_encoder.tokenizer.pad_token is None:  # it wants one even for a single pair
        cross_encoder.tokenizer.pad_token = END
    return torch.tensor(cross_encoder.predict(pairs, activation_fn=RAW, batch_size=batch_size))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_cross_encoder_starts_with_its_own_score(tmp_path, name):
    folder = save_classifier(tmp_path, name)
    model = load_reranker(folder)
    expected = raw_scores(folder, PAIRS, batch_size=1)
    assert model.config.readout == "classifier"
    assert expected.std() > 1e-2
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-5, rtol=0)
    alone = torch.cat([model.score([pair]) for pair in PAIRS])
    torch.testing.assert_close(alone, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["bert", "xlm-roberta", "qwen3"])
def test_of_two_labels_the_score_is_the_difference(tmp_path, name):
    folder = save_classifier(tmp_path, name, num_labels=2)
    logits = raw_scores(folder, PAIRS)
    model = load_reranker(folder)
    torch.testing.assert_close(model.score(PAIRS), logits[:, 1] - logits[:, 0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_labels", [1, 2])
@pytest.mark.parametrize("name", ["bert", "modernbert", "llama"])
def test_a_classifier_survives_saving(tmp_path, name, num_labels):
    model = load_reranker(save_classifier(tmp_path / "start", name, num_labels))
    model.save_pretrained(tmp_path / "saved")
    again = load_reranker(tmp_path / "saved")
    torch.testing.assert_close(again.score(PAIRS), model.score(PAIRS), atol=1e-6, rtol=0)
    assert again.tokenizer.model_max_length == model.tokenizer.model_max_length


@pytest.mark.parametrize("name", ["bert", "roberta", "qwen3"])
def test_a_classifier_trains_all_its_weights(tmp_path, name):
    model = load_reranker(save_classifier(tmp_path, name)).train()
    batch = model.tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    model(**batch).logits.pow(2).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", ["bert", "distilbert", "xlm-roberta", "modernbert"])
def test_an_int8_classifier_scores_nearly_the_same(tmp_path, name):
    model = load_reranker(save_classifier(tmp_path, name))
    expected = model.score(PAIRS)
    difference = (model.quantize("int8").score(PAIRS) - expected).abs().max()
    assert 0 < difference < 0.6 * expected.std()


def test_left_padding_gives_a_decoder_only_classifier_the_same_score(tmp_path):
    model = load_reranker(save_classifier(tmp_path, "qwen3"))
    expected = model.score(PAIRS)
    model.tokenizer.padding_side = "left"
    torch.testing.assert_close(model.score(PAIRS), expected, atol=1e-5, rtol=0)


def test_a_decoder_only_classifier_without_a_padding_token_gets_one_that_ends_no_text(tmp_path):
    folder = save_classifier(tmp_path, "llama")
    assert LlamaForSequenceClassification.from_pretrained(folder).config.pad_token_id is None
    model = load_reranker(folder)
    assert model.tokenizer.pad_token == END
    assert model.backbone.config.pad_token_id == model.tokenizer.pad_token_id


def test_a_template_puts_a_classifiers_pair_into_one_text(tmp_path):
    folder = save_classifier(tmp_path, "qwen3")
    model = TwolarForReranking.from_backbone(folder, prompt_template="{query}?\n{passage}\nIs it red?\n")
    texts = [(f"{query}?\n{passage}\nIs it red?\n", "") for query, passage in PAIRS]
    torch.testing.assert_close(model.score(PAIRS), raw_scores(folder, texts, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("num_labels", "settings", "message"),
    [
        (3, {}, "has 3 labels; a score comes from 1 or 2"),
        (1, {"score_strategy": "softmax"}, "score_strategy 'softmax' does not fit .*own head"),
        (1, {"score_strategy": "extra_id"}, "needs a T5 backbone"),
        (1, {"readout": "mean"}, "readout 'mean' does not fit bert; it takes classifier"),
        (1, {"answer_words": ("no", "yes")}, "answer_words are for causal language models"),
    ],
)
def test_what_does_not_fit_a_classifier_is_refused_in_one_line(tmp_path, num_labels, settings, message):
    folder = save_classifier(tmp_path, "bert", num_labels)
    with pytest.raises(ValueError, match=message) as caught:
        TwolarForReranking.from_backbone(folder, **settings)
    assert "\n" not in str(caught.value)
