"""Each loss against its formula, written as slow loops; its gradient; and padding, which changes nothing."""

import math

import pytest
import torch

from tests.training.losses_cases import RANKS, SCORES, SOURCE, TARGETS, TEACHER
from training.losses import LOSSES, infonce, kl, listmle, margin_mse, mse, ranknet


def slow_ranknet(scores, ranks, *_):
    losses = [math.log(1 + math.exp(scores[j] - scores[i])) for i, j in pairs(ranks)]
    return sum(losses) / len(losses) if losses else 0.0


def slow_margin_mse(scores, ranks, teacher, _):
    losses = [((scores[i] - scores[j]) - (teacher[i] - teacher[j])) ** 2 for i, j in pairs(ranks)]
    return sum(losses) / len(losses) if losses else 0.0


def slow_listnet(scores, ranks, *_):
    target, student = softmax([-rank for rank in ranks]), softmax(scores)
    return -sum(t * math.log(s) for t, s in zip(target, student, strict=True))


def slow_listmle(scores, ranks, *_):
    best_first = [scores[i] for i in sorted(range(len(ranks)), key=lambda i: ranks[i])]
    losses = [-math.log(softmax(best_first[place:])[0]) for place in range(len(ranks))]
    return sum(losses) / len(losses)


def slow_lambdaloss(scores, ranks, *_):
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


def slow_adr_mse(scores, ranks, *_):
    losses = []
    for i, rank in enumerate(ranks):
        others = [scores[j] - scores[i] for j in range(len(scores)) if j != i]
        approximate = 1 + sum(1 / (1 + math.exp(-difference)) for difference in others)
        losses.append((rank - approximate) ** 2 / math.log2(rank + 1))
    return sum(losses) / len(losses)


def slow_kl(scores, _, teacher, __, temperature=1.0):
    target, student = (softmax([value / temperature for value in values]) for values in (teacher, scores))
    return temperature**2 * sum(t * math.log(t / s) for t, s in zip(target, student, strict=True))


def slow_mse(scores, _, teacher, __):
    return sum((s - t) ** 2 for s, t in zip(scores, teacher, strict=True)) / len(scores)


def slow_infonce(scores, _, __, is_source):
    return -math.log(softmax(scores)[is_source.index(True)]) if True in is_source else None


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
    "adr_mse": slow_adr_mse,
    "kl": slow_kl,
    "margin_mse": slow_margin_mse,
    "mse": slow_mse,
    "infonce": slow_infonce,
}


def slow_mean(name, scores, ranks, teacher, is_source):
    values = []
    for row in zip(*(tensor.tolist() for tensor in (scores, ranks, teacher, is_source)), strict=True):
        real = [entry for entry in zip(*row, strict=True) if entry[1] > 0]
        values.append(SLOW[name](*map(list, zip(*real, strict=True))))
    counted = [value for value in values if value is not None]
    return sum(counted) / len(counted)


def test_every_loss_has_a_slow_reference():
    assert SLOW.keys() == LOSSES.keys()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_equals_its_formula_on_lists_of_unequal_length(name):
    assert LOSSES[name](SCORES, *TARGETS).item() == pytest.approx(slow_mean(name, SCORES, *TARGETS), abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_padding_and_its_values_change_nothing(name):
    wide, *targets = (torch.nn.functional.pad(tensor, (0, 4)) for tensor in (SCORES, *TARGETS))
    padding = targets[0] == 0
    wild = (targets[0], targets[1].masked_fill(padding, -1e4), targets[2] | padding)
    assert torch.equal(LOSSES[name](wide.masked_fill(padding, 1e4), *wild), LOSSES[name](wide, *targets))
    torch.testing.assert_close(LOSSES[name](wide, *targets), LOSSES[name](SCORES, *TARGETS))


@pytest.mark.parametrize("name", LOSSES)
def test_a_query_without_passages_has_no_gradient(name):
    scores = torch.zeros(1, 3, requires_grad=True)
    loss = LOSSES[name](scores, torch.zeros(1, 3).long(), torch.ones(1, 3), torch.zeros(1, 3).bool())
    loss.backward()
    assert loss.item() == 0
    assert scores.grad.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_is_the_slope_and_padding_has_none(name):
    scores = SCORES.clone().requires_grad_(True)
    LOSSES[name](scores, *TARGETS).backward()
    assert (scores.grad[RANKS == 0] == 0).all()
    for row, column in ((RANKS > 0).nonzero()).tolist():
        step = torch.zeros_like(SCORES)
        step[row, column] = 1e-3
        above, below = (slow_mean(name, SCORES + sign * step, *TARGETS) for sign in (1, -1))
        # A slow difference of float32 scores: the last digits are rounding.
        assert scores.grad[row, column].item() == pytest.approx((above - below) / 2e-3, abs=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_prefers_the_teachers_order_and_survives_large_scores(name):
    targets = (
        torch.tensor([[1, 2, 3]]),
        torch.tensor([[2.0, 1.0, 0.0]]),
        torch.tensor([[True, False, False]]),
    )
    right, wrong = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    assert LOSSES[name](right, *targets) < LOSSES[name](wrong, *targets)
    assert LOSSES[name](wrong * 1e4, *targets).isfinite()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_half_precision_is_computed_in_float32(name):
    half = SCORES.bfloat16()
    assert torch.equal(LOSSES[name](half, *TARGETS), LOSSES[name](half.float(), *TARGETS))


def test_ranknet_of_two_equal_scores_is_log_2():
    assert ranknet(torch.zeros(1, 2), torch.tensor([[1, 2]])).item() == pytest.approx(math.log(2))


def test_listmle_of_equal_scores_counts_the_orders():
    loss = listmle(torch.zeros(1, 4), torch.tensor([[3, 1, 4, 2]])).item()
    assert loss == pytest.approx(math.log(math.factorial(4)) / 4)


def test_kl_is_the_bits_that_a_student_without_an_opinion_misses():
    # The teacher's softmax is (4/5, 1/5), the student's (1/2, 1/2).
    teacher = torch.tensor([[math.log(4), 0.0]])
    loss = kl(torch.zeros(1, 2), torch.tensor([[1, 2]]), teacher).item()
    assert loss / math.log(2) == pytest.approx(0.8 * math.log2(1.6) + 0.2 * math.log2(0.4))


def test_of_the_losses_on_scores_mse_alone_asks_for_the_teachers_zero():
    shifted = TEACHER + 3
    assert kl(shifted, RANKS, TEACHER).item() == pytest.approx(0, abs=1e-6)
    assert margin_mse(shifted, RANKS, TEACHER).item() == 0
    assert mse(shifted, RANKS, TEACHER).item() == 9


def test_infonce_of_equal_scores_counts_the_passages():
    is_source = torch.tensor([[False, True, False, False]])
    loss = infonce(torch.zeros(1, 4), torch.tensor([[3, 1, 4, 2]]), None, is_source)
    assert loss.item() == pytest.approx(math.log(4))


def test_infonce_is_a_mean_over_the_queries_whose_source_is_in_the_pool():
    scores, ranks = torch.zeros(3, 2), torch.tensor([[1, 2]] * 3)
    is_source = torch.tensor([[True, False], [False, False], [False, False]])
    assert infonce(scores, ranks, None, is_source).item() == pytest.approx(math.log(2))


def test_infonce_without_any_source_is_0_and_can_be_propagated():
    scores = SCORES.clone().requires_grad_(True)
    loss = infonce(scores, RANKS, None, torch.zeros_like(SOURCE))
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()


@pytest.mark.parametrize("name", ["kl", "margin_mse", "mse"])
def test_a_loss_on_scores_without_them_says_what_is_missing_and_how_to_mend_it(name):
    with pytest.raises(ValueError, match=f"^{name} needs the teacher's scores, .*teacher_score.*ranknet$"):
        LOSSES[name](SCORES, RANKS, None, SOURCE)


def test_infonce_without_sources_says_what_is_missing_and_how_to_mend_it():
    with pytest.raises(ValueError, match=r"^infonce needs is_source, .*source_docid.*ranknet$"):
        infonce(SCORES, RANKS, TEACHER)
