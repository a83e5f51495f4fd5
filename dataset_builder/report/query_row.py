"""What the report says of each query in one line."""

from dataclasses import dataclass
from math import isnan
from typing import Self

from tqdm import tqdm

from dataset_builder.build.folder import read_queries
from dataset_builder.ranking_example import RankingExample
from dataset_builder.report.build_so_far import BuildSoFar
from retrieval.records import Query

NO_POOL, WAITING = "no pool", "waiting"
MAX_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class QueryRow:
    """A query in the report's list.

    `state`: `no pool`, `waiting` for its label, or the label's status. `tau`: Kendall's, of the teacher's ranks and the
    retriever's. `first_at`: where the retriever had the teacher's first passage. `source_at`: the teacher's rank of the
    passage that the query was made of. All three None where they are not known.
    """

    query_id: str
    text: str
    query_type: str
    retriever: str = ""
    state: str = NO_POOL
    num_passages: int = 0
    tau: float | None = None
    first_at: int | None = None
    source_at: int | None = None

    @classmethod
    def of_query(cls, query: Query) -> Self:
        """The row of a query without a pool."""
        return cls(query.query_id, query.text[:MAX_CHARACTERS], query.query_type)

    @classmethod
    def of_example(cls, example: RankingExample) -> Self:
        """The row of a pool, labelled or not."""
        query, order = example.query, example.teacher_order
        ranked = [example.passages[index] for index in order or ()]
        sources = (rank for rank, found in enumerate(ranked, 1) if found.passage.docid == query.source_docid)
        return cls(
            query.query_id,
            query.text[:MAX_CHARACTERS],
            query.query_type,
            example.retriever,
            example.label_status or WAITING,
            len(example.passages),
            rank_correlation([found.retriever_rank for found in ranked]),
            ranked[0].retriever_rank if ranked else None,
            next(sources, None),
        )


def rank_correlation(retriever_ranks: list[int]) -> float | None:
    """Kendall's tau of the teacher's order and the retriever's: 1 the same, 0 unrelated, -1 reversed.

    Args:
        retriever_ranks: in the teacher's order. Of fewer than two passages, or ranks all alike: None.
    """
    if len(retriever_ranks) < 2:
        return None
    from scipy.stats import kendalltau  # a second that the other commands need not wait

    tau = float(kendalltau(range(len(retriever_ranks)), retriever_ranks).statistic)
    return None if isnan(tau) else tau


def query_rows(build: BuildSoFar) -> list[QueryRow]:
    """The row of each query, in the order they were drawn."""
    queries = read_queries(build.folder.queries) if build.folder.queries.is_file() else iter(())
    rows = {query.query_id: QueryRow.of_query(query) for query in queries}
    for example in tqdm(build.examples(), "reading pools and labels", len(rows), unit="query"):
        rows[example.query.query_id] = QueryRow.of_example(example)
    return list(rows.values())
