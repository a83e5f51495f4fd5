"""int8 scores: near fp32's, alone, in a batch, or read from a checkpoint."""

import json
import pickle
from copy import deepcopy
from itertools import product
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from scipy.stats import kendalltau
from transformers import AutoModel

from modeling_twolar import TwolarForReranking, load_reranker
from modeling_twolar.packed_bert import bert_common_inputs
from modeling_twolar.packed_t5 import t5_common_inputs
from modeling_twolar.quantization import quantize_linears, rounded_rows
from retrieval.model_files import model_path
from tests.modeling.small_models import CLASSIFIERS, save_classifier
from tests.modeling.test_scores import mixed_pairs

MINILM = "all-MiniLM-L6-v2"
T5 = {"t5": (True, "relu"), "gated t5": (False, "gated-gelu")}
QUESTIONS = Path("evaluation/python_questions/queries.jsonl")


@pytest.fixture(scope="module")
def minilm():
    return TwolarForReranking.from_backbone(model_path(MINILM))


@pytest.mark.parametrize("bias", [True, False])
def test_an_int8_layer_equals_its_float_layer_up_to_rounding(bias):
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(96, 40, bias=bias)).requires_grad_(False)
    rows = torch.randn(3, 130, 96) + 0.5
    expected = layers(rows)
    quantize_linears(layers, [], lambda: layers(rows))
    found = layers(rows)
    assert found.shape == expected.shape
    assert 0 < (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_rows_are_rounded_within_their_own_range():
    rows = torch.tensor(
        [[0.0, 1.0, 2.54], [-100.0, 0.0, 154.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0], [-9.0, -5.0, -1.0]]
    )
    values, zero, step = rounded_rows(
        rows, torch.empty_like(rows), torch.zeros(rows.shape, dtype=torch.uint8)
    )
    assert ((values - zero) * step - rows).abs().le(step / 2 + 1e-6).all()
    assert (values - zero)[rows == 0].eq(0).all()


def test_int8_keeps_the_order_of_a_trained_model(minilm):
    questions = [json.loads(line)["text"] for line in QUESTIONS.read_text().splitlines()[:15]]
    pairs = list(product(questions, questions))
    expected = minilm.score(pairs)
    quantized = TwolarForReranking.from_backbone(model_path(MINILM)).quantize("int8")
    assert kendalltau(quantized.score(pairs), expected).statistic >= 0.97


@pytest.mark.parametrize(("tied", "feed_forward"), [(True, "relu"), (False, "gated-gelu")])
def test_int8_t5_scores_do_not_depend_on_the_batch(tiny_t5, tied, feed_forward):
    model, pairs = TwolarForReranking.from_backbone(tiny_t5(tied, feed_forward)), mixed_pairs(40)
    expected = model.score(pairs)
    scores = model.quantize().score(pairs)
    alone = torch.cat([model.score([pair]) for pair in pairs])
    assert 0 < (scores - expected).abs().max() < 0.1 * expected.std()
    # Rounding to int8 makes steps of what differs in the last float32 digit.
    torch.testing.assert_close(scores, alone, atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["t5", "gated t5", MINILM, "roberta"])
def test_smoothing_alone_changes_no_score(tiny_t5, tmp_path, name):
    model, pairs = TwolarForReranking.from_backbone(start_of(name, tmp_path, tiny_t5)), mixed_pairs(10)
    expected, body = model.score(pairs), model.backbone.base_model
    shared = [
        own
        for own in (t5_common_inputs(body.encoder) if name in T5 else bert_common_inputs(body))
        if own.source is not None
    ]
    before = [own.layers[0].weight.clone() for own in shared]
    for own in shared:
        assert own.smooth(torch.rand(own.layers[0].in_features) * 9) is None
    assert not any(own.layers[0].weight.allclose(old) for own, old in zip(shared, before, strict=True))
    torch.testing.assert_close(model.score(pairs), expected, atol=1e-4, rtol=1e-4)


def start_of(name, folder, tiny_t5):
    if name in T5:
        return tiny_t5(*T5[name])
    return model_path(name) if name == MINILM else save_classifier(folder, name)


@pytest.mark.parametrize("name", [*T5, MINILM, *CLASSIFIERS])
def test_an_int8_checkpoint_has_the_scores_of_the_model_that_was_saved(tiny_t5, tmp_path, name):
    model, pairs = (
        TwolarForReranking.from_backbone(start_of(name, tmp_path / "start", tiny_t5)),
        mixed_pairs(10),
    )
    model.save_pretrained(tmp_path / "whole")
    exact = model.score(pairs)
    expected = model.quantize("int8").score(pairs)
    model.save_pretrained(tmp_path / "int8")
    loaded = AutoModel.from_pretrained(tmp_path / "int8", trust_remote_code=True)
    loaded_state = loaded.state_dict()
    assert all(loaded_state[name].equal(weight) for name, weight in model.state_dict().items())
    # Sums, though, depend on where in memory their terms are, and one that lies between two whole numbers may be
    # rounded to the other.
    rounding = (expected - exact).abs().max().item()
    torch.testing.assert_close(loaded.score(pairs), expected, atol=rounding, rtol=0)
    torch.testing.assert_close(loaded.quantize().score(pairs), expected, atol=rounding, rtol=0)
    with torch.enable_grad():  # every layer by itself
        pair = loaded.tokenizer(*pairs[0], return_tensors="pt")
        torch.testing.assert_close(loaded(**pair).logits[0], expected[:1], atol=rounding, rtol=0)
    loaded.save_pretrained(tmp_path / "again")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "int8", "again")]
    assert weights[1] == weights[2]
    assert len(weights[1]) < len(weights[0])


def test_an_int8_checkpoint_is_for_scoring_on_a_cpu(tiny_t5, tmp_path):
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu"))
    model.require_float_weights()
    with pytest.raises(ValueError, match="'int4' is not 'int8'"):
        model.quantize("int4")
    model.quantize().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="its weights are int8, for scoring alone"):
        load_reranker(tmp_path).require_float_weights()
    with pytest.raises(ValueError, match="beside float32, not torch"):
        TwolarForReranking.from_pretrained(tmp_path, dtype=torch.bfloat16)
    model.to("meta").bfloat16()
    assert model.device.type == "cpu" and model.dtype == torch.float32


def test_adapters_are_not_quantized(tiny_t5):
    model = get_peft_model(
        TwolarForReranking.from_backbone(tiny_t5(True, "relu")), LoraConfig(target_modules="all-linear")
    )
    with pytest.raises(ValueError, match="merge_and_unload"):
        model.quantize()
    assert model.merge_and_unload().quantize().score([("query", "passage")]).isfinite().all()


def test_a_float_checkpoint_is_not_taken_for_an_int8_one(tiny_t5, tmp_path):
    TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu")).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no int8 weights"):
        AutoModel.from_pretrained(tmp_path, quantization="int8", trust_remote_code=True)


def test_an_int8_model_is_copied_pickled_and_filled_from_a_state(tiny_t5):
    pairs = mixed_pairs(5)
    model = TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu")).quantize()
    expected = model.score(pairs)
    for other in (deepcopy(model), pickle.loads(pickle.dumps(model)), TwolarForReranking(model.config)):
        other.tokenizer = model.tokenizer
        other.load_state_dict(model.state_dict())
        assert other.eval().score(pairs).equal(expected)
