"""The retrieval methods, each behind one small protocol."""

from collections.abc import Sequence
from typing import Protocol

from retrieval.records import Hit


class Retriever(Protocol):
    """A retrieval method. `name`: what datasets and runs call it."""

    name: str

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` best passages for each query, best first; fewer where fewer match."""
        ...
