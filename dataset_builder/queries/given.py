"""Queries of one's own, from a file: they have no source passage."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dataset_builder.build.settings import GIVEN
from dataset_builder.queries.sampler import QueryCounts, TooFewQueries
from retrieval.errors import InputError
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

    def sample(self, num_queries: int, before: Sequence[Query] = ()) -> Iterator[Query]:
        """Yield the first `num_queries` distinct queries that were not drawn before, or as many as there are.

        Raises:
            TooFewQueries: where there is none.
        """
        drawn = {query.query_id: query.text for query in before if query.query_type == self.query_type}
        self.counts = QueryCounts(kept=len(drawn))
        seen = {text.lower() for text in drawn.values()}
        for query_id, written in self.texts.items():
            text = _on_one_line(written)
            if query_id in drawn:
                continue
            if text.lower() in seen:
                self.counts.duplicate += 1
            elif text in self.excluded:
                self.counts.excluded += 1
            elif self.counts.kept < len(drawn) + num_queries:
                seen.add(text.lower())
                self.counts.kept += 1
                yield Query(query_id, text, self.query_type)
        if not self.counts.kept:
            raise TooFewQueries("--queries holds no query that --exclude_queries leaves")

    def check_kept(self, before: Sequence[Query]) -> None:
        """Raise `InputError` where the file has no longer a query that was drawn of it before."""
        for query in before:
            if query.query_type == self.query_type and query.text != _on_one_line(
                self.texts.get(query.query_id, "")
            ):
                raise InputError(
                    f"--queries has no longer the query {query.query_id!r} of this build, {query.text!r}; put it "
                    "back, or choose another --output_dir"
                )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())
