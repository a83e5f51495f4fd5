"""Which passages of a ranking a training sees."""

from collections import Counter

import pytest
from datasets import Dataset
from transformers import TrainerControl, TrainerState, TrainingArguments

from training.pools import DrawAnew, RankingPools

SIZE, NUMBER = 30, 10


def pools(seed=1, **options):
    passages = [{"docid": f"d{rank}", "text": "t", "rank": rank} for rank in range(1, SIZE + 1)]
    rows = [
        {"query_id": f"q{number}", "query": "q", "source_docid": source, "retrieved_passages": passages[::-1]}
        for number, source in enumerate(("d30", "elsewhere"))
    ]
    return RankingPools(Dataset.from_list(rows), NUMBER, seed, **options)


def drawn(found, index=0):
    return [passage["rank"] for passage in found[index]["retrieved_passages"]]


def test_one_passage_is_drawn_of_each_band_of_the_teachers_order():
    for epoch in range(20):
        found = pools()
        found.set_epoch(epoch)
        assert [(rank - 1) // 3 for rank in drawn(found)] == list(range(NUMBER))


def test_every_passage_has_its_turn_and_none_is_preferred():
    found, seen = pools(), Counter()
    for epoch in range(600):
        found.set_epoch(epoch)
        seen.update(drawn(found))
    # Each is drawn with probability 1/3: 200 times of 600, with a standard deviation of 11.5.
    assert len(seen) == SIZE
    assert all(150 < count < 250 for count in seen.values())


def test_a_draw_depends_on_seed_query_and_epoch_alone():
    first, again = pools(), pools()
    assert drawn(first) == drawn(again) == drawn(first)
    assert drawn(first) != drawn(first, index=1)
    again.set_epoch(1)
    assert drawn(first) != drawn(again)
    assert drawn(pools(seed=2)) != drawn(first)
    again.set_epoch(0)
    assert drawn(first) == drawn(again)


@pytest.mark.parametrize("keep_source", [False, True])
def test_the_source_is_always_among_them_where_the_loss_needs_it(keep_source):
    found = pools(keep_source=keep_source)
    with_source = 0
    for epoch in range(30):
        found.set_epoch(epoch)
        ranks = drawn(found)
        assert len(ranks) == NUMBER and ranks == sorted(set(ranks))
        with_source += SIZE in ranks
        drawn(found, index=1)  # its source is not in the pool
    assert with_source == 30 if keep_source else with_source < 20


@pytest.mark.parametrize("size", [2, 10])
def test_a_pool_that_is_small_enough_is_kept_whole(size):
    found = pools(keep_source=True)
    found.num_passages = size
    rows = found.rankings.map(lambda row: {"retrieved_passages": row["retrieved_passages"][:size]})
    assert drawn(RankingPools(rows, 10, 1)) == list(range(SIZE - size + 1, SIZE + 1))


@pytest.mark.parametrize(("epoch", "expected"), [(None, 0), (0.0, 0), (0.5, 0), (1.0, 1), (1.9999999, 2)])
def test_the_pools_are_told_which_epoch_begins(epoch, expected, tmp_path):
    """Also in a process of a DataLoader, which was there before: the epoch lies in shared memory."""
    found = pools()
    state = TrainerState()
    state.epoch = epoch
    DrawAnew(found).on_epoch_begin(
        TrainingArguments(str(tmp_path), report_to="none"), state, TrainerControl()
    )
    other = pools()
    other.set_epoch(expected)
    assert drawn(found) == drawn(other)
    assert found._epoch.is_shared()
