"""A build that grows: further queries are drawn to those that it has, and get shards of their own.

So what is there stays as it is: queries, pools and labels.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, pairwise
from typing import TypeVar

from dataset_builder.build.folder import BuildFolder, read_queries
from dataset_builder.build.settings import BuildSettings, Draw
from retrieval.records import Query

# What may change with a build's size.
GROWING = ("num_queries", "query_types", "queries")

Item = TypeVar("Item")


def grown(settings: BuildSettings, folder: BuildFolder, begun: BuildSettings) -> BuildSettings:
    """`settings`, which ask for other queries than those the build in `folder` was begun with, with a note of what is
    there. A draw that had not ended is forgotten."""
    before, shards = begun.earlier_draws, begun.num_shards
    if _has_ended(folder, begun):
        content = hashlib.sha256(folder.queries.read_bytes()).hexdigest()[:16]
        before = [*before, Draw(len(drawn_queries(folder, begun)), shards, content)]
    elif before and settings.num_queries <= before[-1].num_queries:
        before, shards = before[:-1], before[-1].num_shards
        return replace(settings, earlier_draws=before, num_shards=shards)
    settings = replace(settings, earlier_draws=before)
    return replace(settings, num_shards=settings.default_shards if before else shards)


def may_grow(settings: BuildSettings, folder: BuildFolder, begun: BuildSettings) -> bool:
    """Whether queries were drawn in `folder`, and a build of `settings` has all of them and more; where a draw has not
    ended, no more are needed."""
    drawn, shares = drawn_queries(folder, begun), settings.query_shares()
    numbers = Counter(query.query_type for query in drawn)
    has_all = bool(drawn) and all(shares.get(name, 0) >= number for name, number in numbers.items())
    return has_all and (settings.num_queries > len(drawn) or not _has_ended(folder, begun))


def drawn_queries(folder: BuildFolder, settings: BuildSettings) -> list[Query]:
    """The queries of the draws that have ended."""
    ended = _has_ended(folder, settings)
    return list(read_queries(folder.queries)) if ended else queries_before(folder, settings)


def queries_before(folder: BuildFolder, settings: BuildSettings) -> list[Query]:
    """The queries of the draws before the last."""
    if not settings.earlier_draws:
        return []
    return list(islice(read_queries(folder.queries), settings.earlier_draws[-1].num_queries))


def by_draw(queries: Sequence[Item], earlier_draws: Sequence[Draw]) -> list[Sequence[Item]]:
    """`queries`, or what there is for each, in parts: one for each draw."""
    ends = [draw.num_queries for draw in earlier_draws]
    return [queries[start:end] for start, end in pairwise([0, *ends, len(queries)])]


def in_shards(queries: Sequence[Item], settings: BuildSettings) -> list[Sequence[Item]]:
    """`queries` of all draws, or what there is for each, in the build's shards: even parts of a draw."""
    ends = [0, *(draw.num_shards for draw in settings.earlier_draws), settings.num_shards]
    parts = zip(by_draw(queries, settings.earlier_draws), pairwise(ends), strict=True)
    return [shard for part, (first, last) in parts for shard in _even_parts(part, last - first)]


def _has_ended(folder: BuildFolder, settings: BuildSettings) -> bool:
    return folder.query_counts(settings.draw).is_file()


def _even_parts(items: Sequence[Item], number: int) -> list[Sequence[Item]]:
    ends = [len(items) * place // number for place in range(number + 1)]
    return [items[start:end] for start, end in pairwise(ends)]
