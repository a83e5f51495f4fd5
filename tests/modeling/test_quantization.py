"""int8 scores: near fp32's, alone or in a batch, and never written to disk."""

import json
from itertools import product
from pathlib import Path

import pytest
import torch
from scipy.stats import kendalltau

from modeling_twolar import TwolarForReranking
from modeling_twolar.quantization import Int8Linear, quantized_rows
from retrieval.model_files import model_path
from tests.modeling.test_scores import mixed_pairs

QUESTIONS = Path("evaluation/python_questions/queries.jsonl")


@pytest.fixture(scope="module")
def minilm():
    return TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"))


@pytest.mark.parametrize("bias", [True, False])
def test_an_int8_layer_equals_its_float_layer_up_to_rounding(bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(96, 40, bias=bias)
    rows = torch.randn(3, 130, 96) + 0.5
    expected = linear(rows)
    found = Int8Linear(linear, rows.abs().amax(dim=(0, 1)))(rows)
    assert found.shape == expected.shape
    assert 0 < (found - expected).abs().max() < 0.02 * expected.abs().max()


def test_rows_are_rounded_within_their_own_range():
    rows = torch.tensor([[0.0, 1.0, 2.55], [-100.0, 0.0, 155.0], [0.5, 0.5, 0.5], [0.0, 0.0, 0.0]])
    quantized, step, smallest = quantized_rows(rows.clone())
    assert (quantized * step + smallest - rows).abs().le(step / 2 + 1e-6).all()
    assert smallest.flatten().tolist() == [0.0, -100.0, 0.5, 0.0]


def test_int8_keeps_the_order_of_a_trained_model(minilm):
    questions = [json.loads(line)["text"] for line in QUESTIONS.read_text().splitlines()[:15]]
    pairs = list(product(questions, questions))
    expected = minilm.score(pairs)
    quantized = TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2")).quantize("int8")
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


def test_a_loaded_checkpoint_can_be_quantized_and_an_int8_model_is_not_saved(tiny_t5, tmp_path):
    TwolarForReranking.from_backbone(tiny_t5(False, "gated-gelu")).save_pretrained(tmp_path / "whole")
    model = TwolarForReranking.from_pretrained(tmp_path / "whole").quantize("int8")
    assert model.rank("red planet", ["Mars", "The Sun"])[0]["score"] is not None
    with pytest.raises(ValueError, match="save it before quantize"):
        model.save_pretrained(tmp_path / "int8")
    assert not (tmp_path / "int8").exists()
    with pytest.raises(ValueError, match="'int4' is not 'int8'"):
        model.quantize("int4")
