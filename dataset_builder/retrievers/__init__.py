"""The retrieval methods that fill the pools, each behind one small protocol."""

from collections.abc import Sequence
from typing import Protocol

from dataset_builder.records import Hit


class Retriever(Protocol):
    """A retrieval method. `name` is one of `records.RETRIEVERS`."""

    name: str

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` best passages for each query, best first; fewer where fewer match."""
        ...
