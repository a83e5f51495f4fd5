"""A query that is a passage of the collection (ArguAna, Quora) finds itself: its own passage does not count."""

from dataclasses import dataclass

from retrieval.trec_run import Run


@dataclass(frozen=True, slots=True)
class OthersOnly:
    """A run without the queries' own passages. `num_own`: queries whose own passage was found and left out."""

    run: Run
    num_own: int


def without_own_passages(run: Run) -> OthersOnly:
    """Leave out of each query's hits the passage of the query's own id.

    Source: BEIR (Thakur et al. 2021), `ignore_identical_ids`, in its retrieval and in its evaluation.
    """
    others = {query_id: [hit for hit in hits if hit.docid != query_id] for query_id, hits in run.items()}
    return OthersOnly(others, sum(len(others[query_id]) < len(hits) for query_id, hits in run.items()))
