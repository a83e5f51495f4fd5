"""The field's measures, through ir_measures. Every judged query counts, also one that a run missed."""

from collections.abc import Sequence

import ir_measures
from ir_measures import AP, RR, Judged, R, nDCG

from dataset_builder.records import Hit
from dataset_builder.trec_run import Run
from evaluation.collections import Qrels

MEASURES = {
    "nDCG@1": nDCG @ 1,
    "nDCG@5": nDCG @ 5,
    "nDCG@10": nDCG @ 10,
    "MRR@10": RR @ 10,
    "MAP": AP,
    "R@100": R @ 100,
    "judged@10": Judged @ 10,
}
MAIN_MEASURE = "nDCG@10"

PerQuery = dict[str, dict[str, float]]


def per_query(qrels: Qrels, run: Run, relevant_from: int = 1) -> PerQuery:
    """Measure → query → value. `run`: hits in trec_eval's order (`trec_run.ordered`).

    Args:
        relevant_from: lowest grade that counts as relevant in the binary measures (MRR, MAP, R).
    """
    measures = {name: _with_cutoff(measure, relevant_from) for name, measure in MEASURES.items()}
    # Ranks instead of scores: not every implementation behind ir_measures breaks ties as trec_eval does.
    scored = {query_id: _minus_ranks(hits) for query_id, hits in run.items()}
    values: PerQuery = {name: dict.fromkeys(qrels, 0.0) for name in measures}
    names = {str(measure): name for name, measure in measures.items()}
    for metric in ir_measures.iter_calc(measures.values(), qrels, scored):
        values[names[str(metric.measure)]][metric.query_id] = metric.value
    return values


def _minus_ranks(hits: Sequence[Hit]) -> dict[str, float]:
    return {hit.docid: float(-rank) for rank, hit in enumerate(hits, start=1)}


def _with_cutoff(measure: ir_measures.Measure, relevant_from: int) -> ir_measures.Measure:
    binary = "rel" in measure.SUPPORTED_PARAMS and relevant_from > 1
    return measure(rel=relevant_from) if binary else measure


def mean(values: dict[str, float]) -> float:
    """Mean over queries."""
    return sum(values.values()) / len(values)
