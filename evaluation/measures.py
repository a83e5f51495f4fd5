"""The measures of a run: the code of the `evaluate` metric in `metrics/reranking`, over hits."""

from collections.abc import Sequence

from ir_measures import nDCG

from evaluation.metrics.reranking.trec_measures import (
    MEASURES,
    PerQuery,
    mean,
    measure_values,
    per_query_values,
)
from retrieval.judgments import Qrels
from retrieval.trec_run import Run

__all__ = ["MAIN_MEASURE", "MEASURES", "PerQuery", "mean", "measures_of", "ndcg_by_depth", "per_query"]

MAIN_MEASURE = "nDCG@10"
RECALL, RECALL_DEPTH = "R@100", 100


def measures_of(top_k: int) -> list[str]:
    """The measures where `top_k` passages a query are reranked: of fewer than 100 there is no R@100."""
    return [name for name in MEASURES if name != RECALL or top_k >= RECALL_DEPTH]


def per_query(qrels: Qrels, run: Run, relevant_from: int = 1) -> PerQuery:
    """Measure → query → value; see `per_query_values`."""
    return per_query_values(qrels, _scores(run), relevant_from)


def ndcg_by_depth(qrels: Qrels, run: Run, depths: Sequence[int]) -> list[float]:
    """Mean nDCG@k over the judged queries, for each depth k."""
    values = measure_values([nDCG @ depth for depth in depths], qrels, _scores(run))
    return [mean(values[str(nDCG @ depth)]) for depth in depths]


def _scores(run: Run) -> dict[str, dict[str, float]]:
    return {query_id: {hit.docid: hit.score for hit in hits} for query_id, hits in run.items()}
