"""One list out of several: their first passages, then their second ones, each passage once."""

from collections.abc import Sequence
from itertools import chain, islice

from retrieval.records import Hit
from retrieval.retrievers import Retriever


class Interleaved:
    """The union of several methods' lists, interleaved by rank. A hit's score is minus its rank here."""

    name = "union"

    def __init__(self, retrievers: Sequence[Retriever]) -> None:
        self._retrievers = retrievers

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """`k` passages for each query; of passages at the same rank, the earlier method's come first."""
        lists = [retriever.search(queries, k) for retriever in self._retrievers]
        return [_interleave(own, k) for own in zip(*lists, strict=True)]


def _interleave(lists: Sequence[list[Hit]], k: int) -> list[Hit]:
    places = range(max(map(len, lists)))
    turns = chain.from_iterable(
        (hits[place].docid for hits in lists if place < len(hits)) for place in places
    )
    docids = islice(dict.fromkeys(turns), k)
    return [Hit(docid, float(-rank)) for rank, docid in enumerate(docids, start=1)]
