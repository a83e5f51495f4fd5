"""A mean of two sets of weights, its share chosen on held-out queries."""

import numpy as np
import pytest
import torch
from torch import nn

from training.merging import merge_with_start, within_one_standard_error


def merged(quality):
    """Merge a layer of 0 with one of 1, where `quality` says what the held-out queries find of the mean."""
    model = nn.Linear(1, 1)
    model.register_buffer("steps", torch.tensor(7))
    nn.init.ones_(model.weight), nn.init.ones_(model.bias)
    start = {name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items()}
    measured = []

    def measure():
        measured.append(model.weight.item())
        return {str(query): value for query, value in enumerate(quality(model.weight.item()))}

    share = merge_with_start(model, start, measure)
    assert measured == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert model.weight.item() == pytest.approx(share) and model.bias.item() == pytest.approx(share)
    assert model.steps.item() == 7
    return share


@pytest.mark.parametrize("best", [0.0, 0.2, 0.6, 1.0])
def test_the_best_share_is_taken_where_queries_agree(best):
    assert merged(lambda share: [0.5 - abs(share - best)] * 5) == best


def test_a_training_that_helps_no_held_out_query_is_undone():
    assert merged(lambda share: [0.5 - share, 0.5]) == 0.0


def test_what_cannot_be_told_apart_stays_near_the_start():
    # 1.0 is best by 0.1 in the mean, by one query of two alone.
    assert merged(lambda share: [0.5, 0.5 + 0.2 * share]) == 0.0
    assert merged(lambda share: [0.5 + 0.2 * share, 0.5 + 0.2 * share]) == 1.0


def test_of_shares_level_with_the_best_none_below_the_start_is_taken():
    values = np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.4], [0.6, 0.61, 0.6]])
    assert within_one_standard_error(values) == 2
    assert within_one_standard_error(values[:, :1]) == 1
