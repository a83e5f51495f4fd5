"""A query's pool: the passages that a first stage found, with their places and scores in its list."""

from collections.abc import Sequence

from dataset_builder.ranking_example import RetrievedPassage
from retrieval.passage_store import PassageStore
from retrieval.records import Hit


def with_texts(hits: Sequence[Hit], passages: PassageStore) -> tuple[RetrievedPassage, ...]:
    """The hits with their texts, in their order.

    Raises:
        KeyError: with the first id that `passages` has not.
    """
    found = passages.get([hit.docid for hit in hits])
    ranked = enumerate(zip(found, hits, strict=True), start=1)
    return tuple(RetrievedPassage(passage, rank, hit.score) for rank, (passage, hit) in ranked)
