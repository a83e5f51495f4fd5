"""Permutation self-consistency: several rankings of one pool, made from shuffled prompts, become one.

Source: Tang et al., "Found in the Middle: Permutation Self-Consistency Improves Listwise Ranking in
Large Language Models", NAACL 2024: the ranking with the least total Kendall tau distance to all. Where we
differ: the exact one is NP-hard; we start from the better of the Borda order (mean rank) and the given
rankings, and move single passages as long as that lowers the distance.
"""

from collections.abc import Sequence
from itertools import combinations

Ranking = Sequence[int]


def aggregate(rankings: Sequence[Ranking]) -> tuple[int, ...]:
    """One ranking of the indices `0..n-1` out of several; never farther from them all than the best of them.

    Deterministic: of equally near rankings the first found stays, Borda's before the given ones.
    """
    prefers = _preferences(rankings)
    best = min([_borda(rankings), *map(tuple, rankings)], key=lambda ranking: _distance(ranking, prefers))
    while (better := _best_move(best, prefers)) is not None:
        best = better
    return best


def total_kendall_distance(ranking: Ranking, rankings: Sequence[Ranking]) -> int:
    """How many (pair, given ranking) disagree with `ranking`."""
    return _distance(ranking, _preferences(rankings))


def _preferences(rankings: Sequence[Ranking]) -> list[list[int]]:
    """`prefers[a][b]`: how many rankings have a before b."""
    length = len(rankings[0])
    prefers = [[0] * length for _ in range(length)]
    for ranking in rankings:
        for before, after in combinations(ranking, 2):
            prefers[before][after] += 1
    return prefers


def _borda(rankings: Sequence[Ranking]) -> tuple[int, ...]:
    rank_sums = [0] * len(rankings[0])
    for ranking in rankings:
        for rank, index in enumerate(ranking):
            rank_sums[index] += rank
    first = rankings[0]
    return tuple(sorted(first, key=lambda index: rank_sums[index]))


def _distance(ranking: Ranking, prefers: list[list[int]]) -> int:
    return sum(prefers[after][before] for before, after in combinations(ranking, 2))


def _best_move(ranking: tuple[int, ...], prefers: list[list[int]]) -> tuple[int, ...] | None:
    """The first move of one index to another place that lowers the distance; None where none does."""
    for place, moved in enumerate(ranking):
        rest = ranking[:place] + ranking[place + 1 :]
        gains = _gains(place, moved, rest, prefers)
        target = min(range(len(gains)), key=gains.__getitem__)
        if gains[target] < 0:
            return (*rest[:target], moved, *rest[target:])
    return None


def _gains(place: int, moved: int, rest: tuple[int, ...], prefers: list[list[int]]) -> list[int]:
    """By how much the distance changes where `moved` is put before `rest[target]`, for each target."""
    changes = [0] * (len(rest) + 1)
    for target in range(place, len(rest)):
        other = rest[target]
        changes[target + 1] = changes[target] + prefers[moved][other] - prefers[other][moved]
    for target in range(place - 1, -1, -1):
        other = rest[target]
        changes[target] = changes[target + 1] + prefers[other][moved] - prefers[moved][other]
    return changes
