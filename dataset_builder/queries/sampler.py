"""Draws queries out of random passages: the same seed gives the same queries."""

import random
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Passage, Query

DRAWS_PER_QUERY = 50

MakeQuery = Callable[[Passage, random.Random], str | None]
WriteQueries = Callable[[Sequence[Passage], random.Random], list[str | None]]
IsConsistent = Callable[[Sequence[tuple[str, Passage]]], list[bool]]


class TooFewQueries(InputError):
    """A corpus does not give the queries that were asked for."""


@dataclass(slots=True)
class QueryCounts:
    """What happened while queries were drawn, for the dataset card."""

    kept: int = 0
    near_empty: int = 0
    duplicate: int = 0
    excluded: int = 0
    inconsistent: int = 0
    judged: int = 0


class Sampler(Protocol):
    """Where a build's queries of one type come from, and how many were kept and dropped."""

    query_type: str
    counts: QueryCounts

    def sample(self, num_queries: int, before: Sequence[Query] = ()) -> Iterator[Query]:
        """Yield distinct queries, `num_queries` at most, which are not among those that were drawn before."""
        ...


@dataclass(slots=True)
class QuerySampler:
    """Draws queries of one type from random passages, but for those of `judged`; drops and counts near-empty,
    duplicate, excluded and inconsistent ones.

    `write_queries`: queries of several passages, and the random numbers it may use; None where a passage gives
    none. `batch_size`: how many passages it is given at once; None, as many as are missing, as far as the yield so far
    tells. `consistent`: tells of queries, each with the passage it
    was written for, which of them find it. `judged`: ids of an evaluation set's passages.
    """

    passages: PassageStore
    query_type: str
    write_queries: WriteQueries
    seed: int
    excluded: Container[str] = ()
    batch_size: int | None = 1
    consistent: IsConsistent | None = None
    judged: Container[str] = ()
    counts: QueryCounts = field(default_factory=QueryCounts)

    def sample(self, num_queries: int, before: Sequence[Query] = ()) -> Iterator[Query]:
        """Yield `num_queries` distinct queries, which are not among those that were drawn before.

        Raises:
            TooFewQueries: where the corpus does not yield that many in 50 draws a query.
        """
        seen = {query.text.lower() for query in before if query.query_type == self.query_type}
        first, total = len(seen), len(seen) + num_queries
        rng = random.Random(f"{self.seed} {self.query_type}" + (f" after {first}" if first else ""))
        num_drawn = 0
        while num_drawn < num_queries * DRAWS_PER_QUERY:
            kept = len(seen) - first
            size = self.batch_size or ceil((num_queries - kept) * (num_drawn / kept if kept else 1))
            num_drawn += size
            for query in self._draw(rng, seen, size):
                yield query
                self.counts.kept += 1
                if len(seen) == total:
                    return
        raise TooFewQueries(
            f"the corpus ({len(self.passages)} passages) yields only {len(seen)} distinct "
            f"{self.query_type} queries of the {total} asked for; lower --num_queries"
        )

    def _draw(self, rng: random.Random, seen: set[str], size: int) -> Iterator[Query]:
        sources = [self.passages.at(rng.randrange(len(self.passages))) for _ in range(size)]
        drawn = [passage for passage in sources if passage.docid not in self.judged]
        self.counts.judged += len(sources) - len(drawn)
        if not drawn:
            return
        written = list(zip(self.write_queries(drawn, rng), drawn, strict=True))
        self.counts.near_empty += sum(text is None for text, _ in written)
        queries = [(text, passage) for text, passage in written if text is not None]
        consistent = self.consistent(queries) if self.consistent else [True] * len(queries)
        for (text, passage), finds_it in zip(queries, consistent, strict=True):
            if text.lower() in seen:
                self.counts.duplicate += 1
            elif text in self.excluded:
                self.counts.excluded += 1
            elif not finds_it:
                self.counts.inconsistent += 1
            else:
                number = len(seen)
                seen.add(text.lower())
                yield Query(f"{self.query_type}-{number}", text, self.query_type, passage.docid)


def one_by_one(make_query: MakeQuery) -> WriteQueries:
    """Makes the queries of several passages one after the other."""
    return lambda passages, rng: [make_query(passage, rng) for passage in passages]
