"""Pools to label, without a corpus."""

from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from retrieval.records import Passage, Query


def make_pool(query, num_passages):
    passages = [
        Passage(f"d{query}-{place}", "", f"text {place} about {query}") for place in range(num_passages)
    ]
    found = tuple(
        RetrievedPassage(passage, rank, 1.0 / rank) for rank, passage in enumerate(passages, start=1)
    )
    return RankingExample(Query(f"q{query}", f"query number {query}"), "bm25", found)
