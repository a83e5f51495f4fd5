"""How much the pools of two retrieval methods have in common, over a sample of queries."""

from collections.abc import Sequence
from itertools import combinations
from statistics import mean

from retrieval.records import Query
from retrieval.retrievers import Retriever

SAMPLE_SIZE = 50


def pool_overlaps(
    retrievers: Sequence[Retriever], queries: Sequence[Query], pool_size: int
) -> list[dict[str, object]]:
    """The share of passages that two methods' pools for a query have in common, its mean over every n-th query.

    Returns one `{"methods": [a, b], "overlap": share}` for each pair of methods; the share is that of the larger
    pool.
    """
    texts = [query.text for query in queries[:: max(1, len(queries) // SAMPLE_SIZE)]][:SAMPLE_SIZE]
    pools = {
        retriever.name: [{hit.docid for hit in hits} for hits in retriever.search(texts, pool_size)]
        for retriever in retrievers
    }
    return [
        {
            "methods": [first, second],
            "overlap": mean(map(_share, pools[first], pools[second])),
        }
        for first, second in combinations(pools, 2)
    ]


def _share(one: set[str], other: set[str]) -> float:
    return len(one & other) / max(len(one), len(other), 1)
