"""What the Trainer does with scores and ranks."""

import math

import pytest
import torch
from transformers import EvalPrediction

from training.trainer import ndcg_at_10, padded_scores


def test_scores_stand_where_their_ranks_stand():
    ranks = torch.tensor([[1, 2, 3], [1, 2, 0]])
    logits = torch.tensor([[5.0], [4.0], [3.0], [2.0], [1.0]], requires_grad=True)
    padded = padded_scores(logits, ranks)
    assert padded.tolist() == [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]
    padded.sum().backward()
    assert logits.grad.flatten().tolist() == [1.0] * 5


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([3.0, 2.0, 1.0], 1.0), ([1.0, 2.0, 3.0], (0.5 / math.log2(3) + 1 / 2) / (1 + 0.5 / math.log2(3)))],
)
def test_ndcg_against_the_teachers_order(scores, expected):
    prediction = EvalPrediction(torch.tensor([[*scores, 9.0]]).numpy(), torch.tensor([[1, 2, 3, 0]]).numpy())
    assert ndcg_at_10(prediction)["ndcg@10"] == pytest.approx(expected, abs=1e-6)


def test_a_model_that_scores_all_alike_gains_nothing_from_the_batchs_order():
    prediction = EvalPrediction(torch.zeros(1, 3).numpy(), torch.tensor([[1, 2, 3]]).numpy())
    assert ndcg_at_10(prediction)["ndcg@10"] < 0.75
