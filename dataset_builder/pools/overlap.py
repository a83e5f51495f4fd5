"""How much the pools of two retrieval methods have in common, over a sample of queries."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import mean

from retrieval.records import Hit, Query

SAMPLE_SIZE = 50


def sample(queries: Sequence[Query]) -> Sequence[Query]:
    """Every n-th query, `SAMPLE_SIZE` at most."""
    return queries[:: max(1, len(queries) // SAMPLE_SIZE)][:SAMPLE_SIZE]


def pool_overlaps(found: Mapping[str, Sequence[Sequence[Hit]]]) -> list[dict[str, object]]:
    """The share of passages that two methods' pools for a query have in common, its mean over the queries.

    Args:
        found: method → its pools, for the same queries in the same order.

    Returns:
        One `{"methods": [a, b], "overlap": share}` for each pair of methods; the share is that of the larger pool.
    """
    pools = {method: [{hit.docid for hit in hits} for hits in lists] for method, lists in found.items()}
    return [
        {"methods": [first, second], "overlap": mean(map(_share, pools[first], pools[second]))}
        for first, second in combinations(pools, 2)
    ]


def _share(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(len(one), len(other), 1)
