"""Scores in chunks: the same scores and gradients, with dropout too."""

import pytest
import torch
from transformers import T5ForConditionalGeneration

from modeling_twolar import TwolarForReranking
from tests.conftest import PLANETS
from training.arguments import DistillationArguments
from training.chunks import PASSAGES_PER_CPU_PRODUCT, arrange_scoring, score_in_chunks
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


@pytest.mark.parametrize("keep_activations", [False, True])
@pytest.mark.parametrize("passages_per_chunk", [1, 3, 100])
def test_scores_and_gradients_are_those_of_one_forward_pass(student, passages_per_chunk, keep_activations):
    whole, chunked = student(0.0), student(0.0)
    chunked.load_state_dict(whole.state_dict())
    score_in_chunks(chunked, passages_per_chunk, keep_activations=keep_activations)
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
    score_in_chunks(kept, 4, keep_activations=True)
    batch = batch_of(kept)
    torch.manual_seed(3)
    expected = kept(**batch).logits
    score_in_chunks(again, 4)
    torch.manual_seed(3)
    found = again(**batch).logits
    assert torch.equal(found, expected)
    expected, found = gradients(kept, expected), gradients(again, found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("passages_per_chunk", [None, 3])
def test_similar_lengths_share_a_product_on_a_cpu(student, passages_per_chunk, tmp_path):
    """Fewer tokens are computed than the batch holds, whether or not activations are kept."""
    model = student(0.0)
    arguments = DistillationArguments(
        output_dir=str(tmp_path), use_cpu=True, passages_per_chunk=passages_per_chunk
    )
    batch = batch_of(model)
    arrange_scoring(model, arguments)
    shapes = []
    model.backbone.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append((kwargs.get("input_ids", args[0] if args else None)).shape),
        with_kwargs=True,
    )
    with torch.no_grad():
        model(**batch)
    assert [rows for rows, _ in shapes] == [
        len(part) for part in torch.arange(len(PLANETS)).split(passages_per_chunk or PASSAGES_PER_CPU_PRODUCT)
    ]
    assert sum(rows * width for rows, width in shapes) < batch["input_ids"].numel()


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
