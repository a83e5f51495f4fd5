from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.teachers.aggregation import aggregate, total_kendall_distance

RANKINGS = st.integers(1, 7).flatmap(lambda n: st.lists(st.permutations(range(n)), min_size=1, max_size=6))


def test_one_ranking_stays_as_it_is():
    assert aggregate([(2, 0, 1)]) == (2, 0, 1)


def test_the_majority_of_three_wins():
    assert aggregate([(0, 1, 2, 3), (3, 2, 1, 0), (0, 1, 2, 3)]) == (0, 1, 2, 3)


def test_one_outlier_does_not_move_a_passage_the_others_agree_on():
    """Borda would put 1 before 0 here: 0's mean rank suffers from one ranking that has it last."""
    rankings = [(0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4), (1, 2, 3, 4, 0), (1, 2, 3, 4, 0)]
    assert aggregate(rankings) == (0, 1, 2, 3, 4)


def test_the_distance_counts_pairs_in_disagreement():
    assert total_kendall_distance((0, 1, 2), [(2, 1, 0), (0, 2, 1)]) == 4


@given(RANKINGS)
def test_the_aggregate_is_a_permutation_no_farther_than_the_best_of_the_given(rankings):
    aggregated = aggregate(rankings)
    assert sorted(aggregated) == list(range(len(rankings[0])))
    nearest = min(total_kendall_distance(ranking, rankings) for ranking in rankings)
    assert total_kendall_distance(aggregated, rankings) <= nearest


@given(RANKINGS)
def test_no_single_move_brings_the_aggregate_nearer(rankings):
    aggregated = aggregate(rankings)
    distance = total_kendall_distance(aggregated, rankings)
    for moved in aggregated:
        rest = [index for index in aggregated if index != moved]
        for place in range(len(aggregated)):
            assert total_kendall_distance([*rest[:place], moved, *rest[place:]], rankings) >= distance


def test_small_pools_reach_the_exact_kemeny_ranking():
    rankings = [(3, 0, 1, 2, 4), (1, 3, 0, 4, 2), (0, 2, 3, 1, 4), (4, 1, 0, 3, 2)]
    exact = min(total_kendall_distance(ranking, rankings) for ranking in permutations(range(5)))
    assert total_kendall_distance(aggregate(rankings), rankings) == exact
