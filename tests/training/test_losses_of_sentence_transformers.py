"""Each loss against the one of sentence-transformers, in value and gradient."""

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

from tests.training.losses_cases import RANKS, SCORES, TARGETS, TEACHER, assert_same_value_and_gradient
from training.losses import LOSSES, infonce, kl, margin_mse, mse, ranknet


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
