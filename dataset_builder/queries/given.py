"""Queries of one's own, from a file: they have no source passage."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field

from dataset_builder.build.settings import GIVEN
from dataset_builder.queries.sampler import QueryCounts, TooFewQueries
from retrieval.records import Query


@dataclass(slots=True)
class GivenQueries:
    """Queries by their own ids, in the file's order; drops and counts duplicate and excluded ones.

    `texts`: query id → text.
    """

    texts: Mapping[str, str]
    excluded: Container[str] = ()
    counts: QueryCounts = field(default_factory=QueryCounts)
    query_type: str = GIVEN

    def sample(self, num_queries: int) -> Iterator[Query]:
        """Yield the first `num_queries` distinct queries, or as many as there are.

        Raises:
            TooFewQueries: where there is none.
        """
        seen: set[str] = set()
        for query_id, written in self.texts.items():
            text = " ".join(written.split())
            if text.lower() in seen:
                self.counts.duplicate += 1
            elif text in self.excluded:
                self.counts.excluded += 1
            elif self.counts.kept < num_queries:
                seen.add(text.lower())
                self.counts.kept += 1
                yield Query(query_id, text, self.query_type)
        if not self.counts.kept:
            raise TooFewQueries("--queries holds no query that --exclude_queries leaves")
