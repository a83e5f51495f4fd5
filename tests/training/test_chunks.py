"""Scores in chunks: the same scores and gradients, with dropout too."""

import copy

import pytest
import torch
from transformers import T5ForConditionalGeneration

from modeling_twolar import TwolarForReranking
from tests.conftest import PLANETS
from training.arguments import DistillationArguments
from training.collator import RankingCollator
from training.losses import ranknet
from training.trainer import PAIRS_PER_CPU_PRODUCT, RankingTrainer


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
    how = {"pairs_per_chunk": passages_per_chunk, "keep_activations": keep_activations}
    expected = whole(**batch_of(whole)).logits
    found = chunked(**batch_of(chunked), **how).logits
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
    torch.manual_seed(3)
    expected = kept(**batch, pairs_per_chunk=4).logits
    torch.manual_seed(3)
    found = again(**batch, pairs_per_chunk=4, keep_activations=False).logits
    assert torch.equal(found, expected)
    expected, found = gradients(kept, expected), gradients(again, found)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-7, rtol=1e-5)


def test_a_copy_scores_with_its_own_weights(student):
    """Nothing is bound to the model that was trained first."""
    model = student(0.0)
    expected = model(**batch_of(model), pairs_per_chunk=2).logits
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        zeroed.head.weight.zero_()
    assert not expected.eq(0).any()
    assert zeroed(**batch_of(model), pairs_per_chunk=2).logits.eq(0).all()


@pytest.mark.parametrize("passages_per_chunk", [None, 3])
def test_similar_lengths_share_a_product_on_a_cpu(student, passages_per_chunk, tmp_path):
    """Fewer tokens are computed than the batch holds, whether or not activations are kept."""
    model = student(0.0)
    arguments = DistillationArguments(
        output_dir=str(tmp_path), use_cpu=True, passages_per_chunk=passages_per_chunk, report_to="none"
    )
    passages = [
        {"docid": docid, "text": text[: 20 + 11 * number], "rank": number + 1}
        for number, (docid, text) in enumerate(PLANETS)
    ]
    batch = RankingCollator(model.tokenizer, 500)([{"query": "red planet", "retrieved_passages": passages}])
    trainer = RankingTrainer(model=model, args=arguments, ranking_loss=ranknet)
    shapes = []
    model.backbone.encoder.register_forward_pre_hook(
        lambda _, args, kwargs: shapes.append((kwargs.get("input_ids", args[0] if args else None)).shape),
        with_kwargs=True,
    )
    with torch.no_grad():
        trainer.compute_loss(model, batch)
    assert [rows for rows, _ in shapes] == [
        len(part) for part in torch.arange(len(PLANETS)).split(passages_per_chunk or PAIRS_PER_CPU_PRODUCT)
    ]
    assert sum(rows * width for rows, width in shapes) < batch["input_ids"].numel()


def test_only_a_chunks_activations_are_kept(student):
    """What the graph holds on to does not grow with the passages, but for their tokens and scores."""
    held = {}
    for passages_per_chunk in (None, 2):
        model = student(0.0)
        batch = batch_of(model)
        how = {"pairs_per_chunk": passages_per_chunk, "keep_activations": passages_per_chunk is None}
        saved = 0

        def count(tensor):
            nonlocal saved
            saved += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(**batch, **how)
        held[passages_per_chunk] = saved
    assert held[2] < held[None] / 20
