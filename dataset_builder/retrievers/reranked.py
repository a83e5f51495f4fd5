"""BM25 reranked: the top of one list, put in order by another method's scores."""

from collections.abc import Sequence

from dataset_builder.records import Hit
from dataset_builder.retrievers import Retriever
from dataset_builder.retrievers.dense import DenseRetriever

RERANK_DEPTH = 100


class BM25MiniLM:
    """BM25's top 100 in the order of MiniLM's cosine: the offline stand-in for BM25 + monoT5."""

    name = "bm25_minilm"

    def __init__(self, first_stage: Retriever, dense: DenseRetriever) -> None:
        self._first_stage = first_stage
        self._dense = dense

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` passages of highest cosine among BM25's top 100, for each query."""
        candidates = self._first_stage.search(queries, RERANK_DEPTH)
        return [self._rerank(query, hits)[:k] for query, hits in zip(queries, candidates, strict=True)]

    def _rerank(self, query: str, hits: list[Hit]) -> list[Hit]:
        if not hits:
            return []
        cosines = self._dense.cosines(query, [hit.docid for hit in hits])
        rescored = [Hit(hit.docid, float(cosine)) for hit, cosine in zip(hits, cosines, strict=True)]
        return sorted(rescored, key=lambda hit: -hit.score)
