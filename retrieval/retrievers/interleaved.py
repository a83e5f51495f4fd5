"""One list out of several: their first passages, then their second ones, each passage once."""

from collections.abc import Sequence
from itertools import chain, islice

from retrieval.records import Hit


def interleaved(lists: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
    """`k` passages of the union of several methods' lists, by rank; a hit's score is minus its rank here.

    Of passages at the same rank, the earlier list's come first.
    """
    places = range(max(map(len, lists)))
    turns = chain.from_iterable(
        (hits[place].docid for hits in lists if place < len(hits)) for place in places
    )
    docids = islice(dict.fromkeys(turns), k)
    return [Hit(docid, float(-rank)) for rank, docid in enumerate(docids, start=1)]
