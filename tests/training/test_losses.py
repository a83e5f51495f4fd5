"""Each loss against its formula, written as slow loops, and against sentence-transformers; its gradient; and
padding, which changes nothing.
"""

import math

import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder.losses import (
    ADRMSELoss,
    LambdaLoss,
    ListMLELoss,
    ListNetLoss,
    MarginMSELoss,
    MSELoss,
    MultipleNegativesRankingLoss,
    RankNetLoss,
)
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss

from retrieval.errors import InputError
from training.losses import LOSSES, infonce, kl, listmle, margin_mse, mse, parse_loss, ranknet

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.1, 0.7], [1.5, -0.5, 0.2, 0.0, 0.0], [0.4, 0.0, 0.0, 0.0, 0.0]])
RANKS = torch.tensor([[2, 5, 1, 4, 3], [3, 1, 2, 0, 0], [1, 0, 0, 0, 0]])
TEACHER = torch.tensor([[3.0, -2.0, 4.0, 0.0, 1.0], [-1.0, 2.0, 0.5, 9.0, 9.0], [1.0, 9.0, 9.0, 9.0, 9.0]])
# The last query's source is not in its pool: what is true at padding does not count.
SOURCE = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]).bool()
TARGETS = (RANKS, TEACHER, SOURCE)


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


class HandsOut(CrossEncoder):
    """A stand-in for a cross-encoder: passage "3" scores `scores[3]`, whatever the query."""

    num_labels = 1
    device = torch.device("cpu")

    def __init__(self, scores):
        torch.nn.Module.__init__(self)
        self.scores = scores

    def preprocess(self, pairs, prompt=None, task=None):
        return {"passages": torch.tensor([int(passage) for _, passage in pairs])}

    def forward(self, features):
        return {"scores": self.scores[features["passages"]].unsqueeze(1)}


def theirs_over_lists(loss, label, scores, ranks, **settings):
    """Their loss of a batch of lists, its labels `label(ranks)`."""
    places = torch.arange(ranks.numel()).view_as(ranks)
    lists = [
        [str(place) for place in row[real].tolist()] for row, real in zip(places, ranks > 0, strict=True)
    ]
    labels = [label(row[row > 0].float()) for row in ranks]
    return loss(HandsOut(scores.flatten()), **settings)([["query"] * len(lists), lists], labels)


def theirs_over_columns(loss, labels, scores, **settings):
    """Their loss of one query's passages, the first of them the positive."""
    columns = [["query"], *([str(place)] for place in range(len(scores)))]
    return loss(HandsOut(scores), **settings)(columns, labels)


def assert_same_value_and_gradient(ours, theirs, scores):
    close = {"atol": 1e-6, "rtol": 1e-6}
    torch.testing.assert_close(ours, theirs, **close)
    gradients = [torch.autograd.grad(loss, scores)[0] for loss in (ours, theirs)]
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, **close)


def order(ranks):
    return -ranks


def gain(ranks):
    """The label l whose gain 2^l - 1 is 1 / rank."""
    return torch.log2(1 + 1 / ranks)


# Their loss, its labels, and how it is made of our loss of each query, of n passages and p pairs.
OVER_LISTS = {
    "ranknet": (RankNetLoss, order, lambda ours, n, p: (p * ours).sum() / p.sum() / math.log(2)),
    "listnet": (ListNetLoss, order, lambda ours, n, p: ours.mean()),
    "listmle": (ListMLELoss, order, lambda ours, n, p: (n * ours).mean()),
    "lambdaloss": (LambdaLoss, gain, lambda ours, n, p: ours.sum() / p.sum()),
    "adr_mse": (ADRMSELoss, order, lambda ours, n, p: (n * ours).sum() / n.sum()),
}
SETTINGS = {"listmle": {"respect_input_order": False}}


@pytest.mark.parametrize("num_queries", [1, 3])
@pytest.mark.parametrize("name", OVER_LISTS)
def test_sentence_transformers_loss_over_lists_is_ours_times_a_factor(name, num_queries):
    loss, label, of_ours = OVER_LISTS[name]
    scores, ranks = SCORES[:num_queries].clone().requires_grad_(True), RANKS[:num_queries]
    each = torch.stack([LOSSES[name](scores[row, None], ranks[row, None]) for row in range(num_queries)])
    passages = (ranks > 0).sum(dim=1)
    ours = of_ours(each, passages, passages * (passages - 1) / 2)
    theirs = theirs_over_lists(loss, label, scores, ranks, **SETTINGS.get(name, {}))
    assert_same_value_and_gradient(ours, theirs, scores)


def test_ranknet_of_one_query_is_sentence_transformers_in_nats():
    scores = SCORES[:1].clone().requires_grad_(True)
    theirs = theirs_over_lists(RankNetLoss, order, scores, RANKS[:1], reduction_log="natural")
    assert_same_value_and_gradient(ranknet(scores, RANKS[:1]), theirs, scores)


def test_adr_mse_gives_equal_ranks_the_best_of_them_and_sentence_transformers_their_mean():
    scores, ranks = torch.zeros(1, 2), torch.tensor([[1, 1]])
    # Approximate ranks are 1.5 for both.
    assert LOSSES["adr_mse"](scores, ranks).item() == 0.25
    assert theirs_over_lists(ADRMSELoss, order, scores, ranks).item() == 0


def test_mse_is_sentence_transformers_with_each_query_counted_alike():
    scores = SCORES.clone().requires_grad_(True)
    rows = zip(scores, TEACHER, RANKS > 0, strict=True)
    each = [
        MSELoss(HandsOut(row[real]))(
            [["query"] * len(row[real]), list(map(str, range(len(row[real]))))], teacher[real]
        )
        for row, teacher, real in rows
    ]
    assert_same_value_and_gradient(mse(scores, RANKS, TEACHER), sum(each) / 3, scores)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_kl_is_sentence_transformers(temperature):
    scores = torch.stack([SCORES[0], SCORES[0].flip(0) / 2]).requires_grad_(True)
    teacher = torch.stack([TEACHER[0], TEACHER[0] / 3])
    # Embeddings of one dimension: a query is 1, a passage its score.
    embeddings = [torch.ones(2, 1), *scores.T.unsqueeze(2)]
    theirs = DistillKLDivLoss(None, temperature=temperature).compute_loss_from_embeddings(embeddings, teacher)
    ours = kl(scores, RANKS[[0, 0]], teacher, temperature=temperature)
    assert_same_value_and_gradient(ours, theirs, scores)


def test_margin_mse_of_two_passages_is_sentence_transformers():
    scores = SCORES[0, :2].clone().requires_grad_(True)
    theirs = theirs_over_columns(MarginMSELoss, TEACHER[:1, :2], scores)
    assert theirs.item() == pytest.approx(12.25)
    assert_same_value_and_gradient(margin_mse(scores[None], RANKS[:1, :2], TEACHER[:1, :2]), theirs, scores)


def test_margin_mse_is_the_mean_of_sentence_transformers_with_each_passage_as_the_positive():
    scores = SCORES[0].clone().requires_grad_(True)
    turns = [[place, *(other for other in range(5) if other != place)] for place in range(5)]
    theirs = [theirs_over_columns(MarginMSELoss, TEACHER[:1, turn], scores[turn]) for turn in turns]
    assert len({round(loss.item(), 4) for loss in theirs}) == 5
    assert_same_value_and_gradient(margin_mse(scores[None], RANKS[:1], TEACHER[:1]), sum(theirs) / 5, scores)


def test_infonce_is_sentence_transformers_without_activation_scale_and_other_queries():
    scores = SCORES.clone().requires_grad_(True)
    lists = [scores[0, [4, 0, 1, 2, 3]], scores[1, [2, 0, 1]]]
    # One query a call: with more of them they cannot draw 0 negatives (torch.multinomial refuses).
    settings = {"num_negatives": 0, "scale": 1.0, "activation_fn": torch.nn.Identity()}
    theirs = [theirs_over_columns(MultipleNegativesRankingLoss, None, row, **settings) for row in lists]
    assert_same_value_and_gradient(infonce(scores, *TARGETS), sum(theirs) / 2, scores)


def test_a_weighted_loss_is_the_sum_of_its_terms():
    scores = SCORES.clone().requires_grad_(True)
    loss = parse_loss("kl+0.05*margin_mse + 2 * infonce")(scores, *TARGETS)
    terms = kl(scores, *TARGETS) + 0.05 * margin_mse(scores, *TARGETS) + 2 * infonce(scores, *TARGETS)
    assert_same_value_and_gradient(loss, terms, scores)


@pytest.mark.parametrize("name", LOSSES)
def test_a_plain_name_is_that_loss_to_the_last_bit(name):
    assert torch.equal(parse_loss(name)(SCORES, *TARGETS), LOSSES[name](SCORES, *TARGETS))


def test_the_temperature_is_that_of_kl_alone():
    hot = parse_loss("kl+ranknet", temperature=4.0)(SCORES, *TARGETS)
    assert hot.item() == pytest.approx(
        (kl(SCORES, *TARGETS, temperature=4.0) + ranknet(SCORES, *TARGETS)).item()
    )
    assert hot.item() != pytest.approx(parse_loss("kl+ranknet")(SCORES, *TARGETS).item(), abs=0.1)


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_says_it_reads_is_what_it_cannot_do_without(name):
    loss = parse_loss(f"listnet+{name}" if name != "listnet" else name)
    assert loss.reads_scores == refuses(loss, SCORES, RANKS, None, SOURCE)
    assert loss.reads_source == refuses(loss, SCORES, RANKS, TEACHER, None)


def refuses(loss, *arguments):
    try:
        loss(*arguments)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hinge", "--loss 'hinge' is not one of ranknet, listnet, "),
        ("kl+0.5*hinge", "--loss 'hinge' is not one of "),
        ("RankNet", "--loss 'RankNet' is not one of "),
        ("2*3*kl", "--loss '3*kl' is not one of "),
        ("", "--loss '' has an empty term"),
        ("kl+", "--loss 'kl+' has an empty term"),
        ("0*kl", "--loss '0*kl': weight '0' is not a positive finite number"),
        ("-1*kl", "weight '-1' is not"),
        ("nan*kl", "weight 'nan' is not"),
        ("inf*kl", "weight 'inf' is not"),
        ("*kl", "weight '' is not"),
        ("much*kl", "weight 'much' is not"),
        ("kl+ranknet+0.5*kl", "--loss 'kl+ranknet+0.5*kl' names kl twice"),
    ],
)
def test_a_bad_loss_is_refused_in_one_line_that_lists_the_losses(spec, message):
    with pytest.raises(InputError) as refusal:
        parse_loss(spec)
    assert message in str(refusal.value)
    assert ", ".join(LOSSES) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_cannot_be_is_refused(temperature):
    with pytest.raises(InputError, match=f"^--temperature {temperature} is not a positive finite number"):
        parse_loss("kl", temperature)
