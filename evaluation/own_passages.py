"""A query that is a passage of the collection (ArguAna, Quora) finds itself: its own passage does not count."""

from collections.abc import Collection
from dataclasses import dataclass

from retrieval.trec_run import Run


@dataclass(frozen=True, slots=True)
class OthersOnly:
    """A run without the queries' own passages. `num_own`: queries whose own passage was found and left out."""

    run: Run
    num_own: int


def of_queries(run: Run, queries: Collection[str], may_ask_passages: bool) -> OthersOnly:
    """What `run` has for these queries; where they may be passages, without the passage of the query's own id.

    Source: BEIR (Thakur et al. 2021), `ignore_identical_ids`, in its retrieval and in its evaluation.
    """
    asked = {query_id: run[query_id] for query_id in queries if query_id in run}
    if not may_ask_passages:
        return OthersOnly(asked, 0)
    others = {query_id: [hit for hit in hits if hit.docid != query_id] for query_id, hits in asked.items()}
    return OthersOnly(others, sum(len(others[query_id]) < len(hits) for query_id, hits in asked.items()))
