"""Each loss against its formula, written as slow loops; its gradient; and padding, which changes nothing."""

import math

import pytest
import torch

from training.losses import LOSSES, listmle, margin_mse, ranknet

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.1, 0.7], [1.5, -0.5, 0.2, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0, 0.0]])
RANKS = torch.tensor([[2, 5, 1, 4, 3], [3, 1, 2, 0, 0], [1, 0, 0, 0, 0]])
TEACHER = torch.tensor([[3.0, -2.0, 4.0, 0.0, 1.0], [-1.0, 2.0, 0.5, 9.0, 9.0], [1.0, 9.0, 9.0, 9.0, 9.0]])


def slow_ranknet(scores, ranks, _):
    losses = [math.log(1 + math.exp(scores[j] - scores[i])) for i, j in pairs(ranks)]
    return sum(losses) / len(losses) if losses else 0.0


def slow_margin_mse(scores, ranks, teacher):
    losses = [((scores[i] - scores[j]) - (teacher[i] - teacher[j])) ** 2 for i, j in pairs(ranks)]
    return sum(losses) / len(losses) if losses else 0.0


def slow_listnet(scores, ranks, _):
    target, student = softmax([-rank for rank in ranks]), softmax(scores)
    return -sum(t * math.log(s) for t, s in zip(target, student, strict=True))


def slow_listmle(scores, ranks, _):
    best_first = [scores[i] for i in sorted(range(len(ranks)), key=lambda i: ranks[i])]
    losses = [-math.log(softmax(best_first[place:])[0]) for place in range(len(ranks))]
    return sum(losses) / len(losses)


def slow_lambdaloss(scores, ranks, _):
    place = {i: 1 + sum(other > scores[i] for other in scores) for i in range(len(scores))}
    gain = [1 / rank for rank in ranks]
    ideal = sum(value / math.log2(1 + p) for p, value in enumerate(sorted(gain, reverse=True), start=1))
    total = 0.0
    for i, j in pairs(ranks):
        distance = abs(place[i] - place[j])
        by_place = abs(1 / math.log2(1 + place[i]) - 1 / math.log2(1 + place[j]))
        by_distance = abs(1 / math.log2(1 + distance) - 1 / math.log2(2 + distance))
        weight = abs(gain[i] - gain[j]) / ideal * (by_place + 10 * by_distance)
        total += weight * math.log2(1 + math.exp(scores[j] - scores[i]))
    return total


def slow_adr_mse(scores, ranks, _):
    losses = []
    for i, rank in enumerate(ranks):
        others = [scores[j] - scores[i] for j in range(len(scores)) if j != i]
        approximate = 1 + sum(1 / (1 + math.exp(-difference)) for difference in others)
        losses.append((rank - approximate) ** 2 / math.log2(rank + 1))
    return sum(losses) / len(losses)


def pairs(ranks):
    indices = range(len(ranks))
    return [(i, j) for i in indices for j in indices if ranks[i] < ranks[j]]


def softmax(values):
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


SLOW = {
    "ranknet": slow_ranknet,
    "listnet": slow_listnet,
    "listmle": slow_listmle,
    "lambdaloss": slow_lambdaloss,
    "margin_mse": slow_margin_mse,
    "adr_mse": slow_adr_mse,
}


def slow_mean(name, scores, ranks, teacher):
    values = []
    for row in zip(scores.tolist(), ranks.tolist(), teacher.tolist(), strict=True):
        real = [entry for entry in zip(*row, strict=True) if entry[1] > 0]
        values.append(SLOW[name](*map(list, zip(*real, strict=True))))
    return sum(values) / len(values)


def test_every_loss_has_a_slow_reference():
    assert SLOW.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_equals_its_formula_on_lists_of_unequal_length(name):
    assert LOSSES[name](SCORES, RANKS, TEACHER).item() == pytest.approx(
        slow_mean(name, SCORES, RANKS, TEACHER), abs=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_padding_and_its_values_change_nothing(name):
    wide = [torch.nn.functional.pad(tensor, (0, 4)) for tensor in (SCORES, RANKS, TEACHER)]
    wild = torch.where(wide[1] > 0, wide[0], torch.tensor(1e4))
    assert torch.equal(LOSSES[name](wild, *wide[1:]), LOSSES[name](*wide))
    torch.testing.assert_close(LOSSES[name](*wide), LOSSES[name](SCORES, RANKS, TEACHER))


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_is_the_slope_and_padding_has_none(name):
    scores = SCORES.clone().requires_grad_(True)
    LOSSES[name](scores, RANKS, TEACHER).backward()
    assert (scores.grad[RANKS == 0] == 0).all()
    for row, column in ((RANKS > 0).nonzero()).tolist():
        step = torch.zeros_like(SCORES)
        step[row, column] = 1e-3
        above, below = (slow_mean(name, SCORES + sign * step, RANKS, TEACHER) for sign in (1, -1))
        # A slow difference of float32 scores: the last digits are rounding.
        assert scores.grad[row, column].item() == pytest.approx((above - below) / 2e-3, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_prefers_the_teachers_order_and_survives_large_scores(name):
    ranks = torch.tensor([[1, 2, 3]])
    teacher = torch.tensor([[2.0, 1.0, 0.0]])
    right, wrong = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    assert LOSSES[name](right, ranks, teacher) < LOSSES[name](wrong, ranks, teacher)
    assert LOSSES[name](wrong * 1e4, ranks, teacher).isfinite()


def test_ranknet_of_two_equal_scores_is_log_2():
    assert ranknet(torch.zeros(1, 2), torch.tensor([[1, 2]])).item() == pytest.approx(math.log(2))


def test_listmle_of_equal_scores_counts_the_orders():
    loss = listmle(torch.zeros(1, 4), torch.tensor([[3, 1, 4, 2]])).item()
    assert loss == pytest.approx(math.log(math.factorial(4)) / 4)


def test_margin_mse_without_teacher_scores_says_so():
    with pytest.raises(ValueError, match="needs the teacher's scores"):
        margin_mse(SCORES, RANKS)
