"""BM25 reranked: the top of one list, put in order by another method's scores."""

from collections.abc import Sequence
from typing import Protocol

from retrieval.device import best_device, best_dtype
from retrieval.passage_store import PassageStore
from retrieval.records import Hit, Passage
from retrieval.retrievers import Retriever

RERANK_DEPTH = 100


class PairScorer(Protocol):
    """Scores passages for a query."""

    def scores(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """A score for each passage, higher is more relevant."""
        ...


class MonoT5:
    """monoT5 (Nogueira et al. 2020, arXiv 2003.06713): log of the softmax of `true` over `true` and `false`."""

    def __init__(self, name_or_path: str) -> None:
        from modeling_twolar import TwolarForReranking

        model = TwolarForReranking.from_backbone(name_or_path, score_strategy="softmax", dtype=best_dtype())
        self._model = model.to(best_device())  # type: ignore[arg-type]

    def scores(self, query: str, passages: Sequence[Passage]) -> list[float]:
        """See `PairScorer`."""
        scores: list[float] = self._model.score([(query, passage.contents) for passage in passages]).tolist()
        return scores


class BM25Reranked:
    """BM25's top 100 in the order of another method's scores: the paper's BM25 + monoT5."""

    def __init__(self, name: str, bm25: Retriever, scorer: PairScorer, passages: PassageStore) -> None:
        self.name = name
        self._bm25 = bm25
        self._scorer = scorer
        self._passages = passages

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` passages of highest score among BM25's top 100, or `k` where that is more, for each query."""
        candidates = self._bm25.search(queries, max(RERANK_DEPTH, k))
        return [self._rerank(query, hits)[:k] for query, hits in zip(queries, candidates, strict=True)]

    def _rerank(self, query: str, hits: list[Hit]) -> list[Hit]:
        if not hits:
            return []
        scores = self._scorer.scores(query, self._passages.get([hit.docid for hit in hits]))
        rescored = [Hit(hit.docid, score) for hit, score in zip(hits, scores, strict=True)]
        return sorted(rescored, key=lambda hit: -hit.score)
