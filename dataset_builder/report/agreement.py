"""How far the teacher's orders agree with each retriever's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean, median

from dataset_builder.dataset.features import RETRIEVERS
from dataset_builder.report.query_row import QueryRow

BINS = 20


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over one retriever's labelled pools.

    `mean_tau`: of Kendall's tau. `histogram`: how many queries have a tau in each twentieth of [-1, 1]. `first_at`: the
    retriever's rank of the teacher's first passage, its median.
    """

    retriever: str
    num_queries: int
    mean_tau: float
    histogram: tuple[int, ...]
    first_at: float


def agreements(rows: Iterable[QueryRow]) -> list[Agreement]:
    """One for each retriever that has a labelled pool, in the order of `RETRIEVERS`."""
    place = {name: number for number, name in enumerate(RETRIEVERS)}
    ordered = sorted(
        (row for row in rows if row.tau is not None), key=lambda row: place.get(row.retriever, len(place))
    )
    return [
        _agreement(retriever, list(group)) for retriever, group in groupby(ordered, lambda row: row.retriever)
    ]


def _agreement(retriever: str, rows: Sequence[QueryRow]) -> Agreement:
    taus = [row.tau for row in rows if row.tau is not None]
    bins = [min(BINS - 1, int((tau + 1) / 2 * BINS)) for tau in taus]
    return Agreement(
        retriever,
        len(taus),
        mean(taus),
        tuple(bins.count(number) for number in range(BINS)),
        median(row.first_at for row in rows if row.first_at is not None),
    )
