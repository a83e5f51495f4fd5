"""Cuts a stream into lists."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter. Python 3.12 has `itertools.batched`; 3.11 has not."""
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])
