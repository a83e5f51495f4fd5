"""All that the report shows of one query: its pool, what language models said of it, and the order."""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from dataset_builder.ranking_example import RankingExample
from dataset_builder.report.build_so_far import BuildSoFar
from dataset_builder.report.query_row import QueryRow
from dataset_builder.report.windows import Talk, shortened

MAX_PASSAGE_CHARACTERS = 1000
FINE = "ok"


@dataclass(frozen=True, slots=True)
class PoolPassage:
    """A passage of a pool, with its rank and score by the retriever and, once labelled, by the teacher."""

    docid: str
    title: str
    text: str
    retriever_rank: int
    retriever_score: float | None
    teacher_rank: int | None
    teacher_score: float | None


@dataclass(frozen=True, slots=True)
class QueryDetail:
    """A query's pool, in the retriever's order, and each language model's turns."""

    query_id: str
    text: str
    source_docid: str
    teacher: str
    passages: tuple[PoolPassage, ...]
    talks: tuple[Talk, ...]


def chosen_queries(rows: Sequence[QueryRow], max_queries: int) -> list[str]:
    """The ids of at most `max_queries` queries with a pool, evenly spaced: up to half of them such as were not
    labelled without repair, if there are so many, then others."""
    with_pool = [row for row in rows if row.num_passages]
    if len(with_pool) <= max_queries:
        return [row.query_id for row in with_pool]
    fine = [row.query_id for row in with_pool if row.state == FINE]
    others = [row.query_id for row in with_pool if row.state != FINE]
    num_others = min(len(others), max(max_queries // 2, max_queries - len(fine)))
    return _spaced(others, num_others) + _spaced(fine, max_queries - num_others)


def query_details(build: BuildSoFar, query_ids: Container[str]) -> Iterator[QueryDetail]:
    """The details of the named queries, in the order of the build's files."""
    return (_detail(example, build.talks(example)) for example in build.examples(query_ids))


def _spaced(query_ids: Sequence[str], count: int) -> list[str]:
    return [query_ids[number * len(query_ids) // count] for number in range(count)]


def _detail(example: RankingExample, talks: tuple[Talk, ...]) -> QueryDetail:
    ranks = {index: rank for rank, index in enumerate(example.teacher_order or (), start=1)}
    scores = example.teacher_scores
    passages = tuple(
        PoolPassage(
            found.passage.docid,
            found.passage.title,
            shortened(found.passage.text, MAX_PASSAGE_CHARACTERS),
            found.retriever_rank,
            found.retriever_score if isfinite(found.retriever_score) else None,
            ranks.get(index),
            scores[index] if scores else None,
        )
        for index, found in enumerate(example.passages)
    )
    query = example.query
    return QueryDetail(query.query_id, query.text, query.source_docid, example.teacher, passages, talks)
