"""The measures of a run: the code of the `evaluate` metric in `metrics/reranking`, over hits."""

from dataset_builder.trec_run import Run
from evaluation.collections import Qrels
from evaluation.metrics.reranking.reranking import MEASURES, PerQuery, mean, per_query_values

__all__ = ["MAIN_MEASURE", "MEASURES", "PerQuery", "mean", "per_query"]

MAIN_MEASURE = "nDCG@10"


def per_query(qrels: Qrels, run: Run, relevant_from: int = 1) -> PerQuery:
    """Measure → query → value; see `per_query_values`."""
    scores = {query_id: {hit.docid: hit.score for hit in hits} for query_id, hits in run.items()}
    return per_query_values(qrels, scores, relevant_from)
