"""Keeps of written queries those that find the passage they were written for (Promptagator's round trip).

Source: Dai et al., "Promptagator", ICLR 2023, arXiv 2209.11755, section 3.2. What a model wrote past its passage finds
others, and would teach that they are relevant.
"""

from collections.abc import Sequence

from retrieval.records import Passage
from retrieval.retrievers import Retriever


class ConsistencyFilter:
    """Whether each query's own passage is among the first `depth` that `retriever` finds for it."""

    def __init__(self, retriever: Retriever, depth: int) -> None:
        self._retriever = retriever
        self._depth = depth

    def __call__(self, queries: Sequence[tuple[str, Passage]]) -> list[bool]:
        """One answer for each (query, passage that it was written for)."""
        if not queries:
            return []
        found = self._retriever.search([text for text, _ in queries], self._depth)
        return [
            passage.docid in {hit.docid for hit in hits}
            for (_, passage), hits in zip(queries, found, strict=True)
        ]
