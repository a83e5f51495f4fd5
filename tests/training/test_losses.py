import math

import pytest
import torch

from training.losses import ranknet
from training.trainer import ndcg_at_10, padded_scores


def slow_ranknet(scores, ranks):
    """The formula, pair by pair."""
    totals = []
    for row_scores, row_ranks in zip(scores.tolist(), ranks.tolist(), strict=True):
        pairs = [
            math.log(1 + math.exp(s_j - s_i))
            for s_i, r_i in zip(row_scores, row_ranks, strict=True)
            for s_j, r_j in zip(row_scores, row_ranks, strict=True)
            if 0 < r_i < r_j
        ]
        totals.append(sum(pairs) / len(pairs) if pairs else 0.0)
    return sum(totals) / len(totals)


def test_ranknet_equals_the_formula_on_lists_of_unequal_length():
    torch.manual_seed(0)
    scores = torch.randn(3, 6)
    ranks = torch.tensor([[1, 2, 3, 4, 5, 6], [3, 1, 2, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    assert ranknet(scores, ranks).item() == pytest.approx(slow_ranknet(scores, ranks), abs=1e-6)


def test_ranknet_of_two_equal_scores_is_log_2():
    assert ranknet(torch.zeros(1, 2), torch.tensor([[1, 2]])).item() == pytest.approx(math.log(2))


def test_ranknets_gradient_is_right_and_padding_gets_none():
    torch.manual_seed(0)
    scores = torch.randn(2, 4, dtype=torch.float32, requires_grad=True)
    ranks = torch.tensor([[2, 1, 3, 0], [1, 2, 0, 0]])
    ranknet(scores, ranks).backward()
    assert (scores.grad[ranks == 0] == 0).all()
    for row, column in ((0, 0), (0, 2), (1, 1)):
        step = torch.zeros_like(scores)
        step[row, column] = 1e-2
        slope = (slow_ranknet(scores + step, ranks) - slow_ranknet(scores - step, ranks)) / 2e-2
        assert scores.grad[row, column].item() == pytest.approx(slope, abs=1e-4)


def test_ranknet_survives_large_scores():
    assert ranknet(torch.tensor([[-1e4, 1e4]]), torch.tensor([[1, 2]])).item() == pytest.approx(2e4)


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
    from transformers import EvalPrediction

    prediction = EvalPrediction(torch.tensor([[*scores, 9.0]]).numpy(), torch.tensor([[1, 2, 3, 0]]).numpy())
    assert ndcg_at_10(prediction)["ndcg@10"] == pytest.approx(expected, abs=1e-6)


def test_a_model_that_scores_all_alike_gains_nothing_from_the_batchs_order():
    from transformers import EvalPrediction

    prediction = EvalPrediction(torch.zeros(1, 3).numpy(), torch.tensor([[1, 2, 3]]).numpy())
    assert ndcg_at_10(prediction)["ndcg@10"] < 0.75
