"""A loss by its name, or a weighted sum of them."""

import math

import pytest
import torch

from retrieval.errors import InputError
from tests.training.losses_cases import (
    RANKS,
    SCORES,
    SOURCE,
    TARGETS,
    TEACHER,
    assert_same_value_and_gradient,
)
from training.flags import LOSS_NAMES
from training.losses import LOSSES, infonce, kl, margin_mse, parse_loss, ranknet


def test_the_help_names_every_loss():
    assert set(LOSS_NAMES) == set(LOSSES)


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
