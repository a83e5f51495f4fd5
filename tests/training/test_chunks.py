"""Scores in chunks: the same scores and gradients, with dropout too."""

import pytest
import torch
from transformers import T5ForConditionalGeneration

from modeling_twolar import TwolarForReranking
from tests.conftest import PLANETS
from training.chunks import score_in_chunks
from training.losses import ranknet


@pytest.fixture
def student(tiny_t5):
    def load(dropout):
        folder = tiny_t5(False, "gated-gelu")
        backbone = T5ForConditionalGeneration.from_pretrained(folder)
        backbone.config.dropout_rate = dropout
        backbone.save_pretrained(folder)
        return TwolarForReranking.from_backbone(folder).train()

    return load


def batch_of(model):
    texts = [text[: 20 + 11 * number] for number, (_, text) in enumerate(PLANETS)]
    return model.tokenizer(["red planet"] * len(texts), texts, padding=True, return_tensors="pt")


def gradients(model, scores):
    ranks = torch.randperm(len(PLANETS), generator=torch.Generator().manual_seed(0))[None] + 1
    ranknet(scores.T, ranks).backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("passages_per_chunk", [1, 3, 100])
def test_scores_and_gradients_are_those_of_one_forward_pass(student, passages_per_chunk):
    whole, chunked = student(0.0), student(0.0)
    chunked.load_state_dict(whole.state_dict())
    score_in_chunks(chunked, passages_per_chunk)
    expected = whole(**batch_of(whole)).logits
    found = chunked(**batch_of(chunked)).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    expected, found = gradients(whole, expected), gradients(chunked, found)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4)


def test_a_chunks_dropout_is_the_same_when_it_is_run_again(student):
    """The gradient of what was scored: against chunks that keep their activations."""
    kept, again = student(0.3), student(0.3)
    again.load_state_dict(kept.state_dict())
    batch = batch_of(kept)
    order = batch["attention_mask"].sum(dim=1).argsort(descending=True, stable=True)
    torch.manual_seed(3)
    parts = []
    for own in order.split(4):
        used = batch["attention_mask"][own].any(dim=0)
        parts.append(kept(**{name: tensor[own][:, used] for name, tensor in batch.items()}).logits)
    expected = torch.cat(parts)[order.argsort()]
    score_in_chunks(again, 4)
    torch.manual_seed(3)
    found = again(**batch).logits
    assert torch.equal(found, expected)
    expected, found = gradients(kept, expected), gradients(again, found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-7, rtol=1e-5)


def test_only_a_chunks_activations_are_kept(student):
    """What the graph holds on to does not grow with the passages, but for their tokens and scores."""
    held = {}
    for passages_per_chunk in (None, 2):
        model = student(0.0)
        batch = batch_of(model)
        if passages_per_chunk:
            score_in_chunks(model, passages_per_chunk)
        saved = 0

        def count(tensor):
            nonlocal saved
            saved += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(**batch)
        held[passages_per_chunk] = saved
    assert held[2] < held[None] / 20
