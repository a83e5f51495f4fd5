"""The field's measures of a ranking, by trec_eval through ir_measures."""

import math
from collections.abc import Mapping, Sequence

import ir_measures
import numpy as np
from ir_measures import AP, RR, Judged, R, nDCG

MEASURES = {
    "nDCG@1": nDCG @ 1,
    "nDCG@5": nDCG @ 5,
    "nDCG@10": nDCG @ 10,
    "MRR@10": RR @ 10,
    "MAP": AP,
    "R@100": R @ 100,
    "judged@10": Judged @ 10,
}

Grades = Mapping[str, Mapping[str, int]]
Scores = Mapping[str, Mapping[str, float]]
PerQuery = dict[str, dict[str, float]]


def per_query_values(qrels: Grades, scores: Scores, relevant_from: int = 1) -> PerQuery:
    """Measure → query → value. Every judged query counts, also one that `scores` misses: it gets 0.

    Ties are broken as trec_eval breaks them: scores are compared as 32-bit floats, equal ones by docid,
    descending. Unjudged passages count as not relevant; `judged@10` says how many of the top 10 were judged.

    Args:
        qrels: query → docid → grade.
        scores: query → docid → score, higher is more relevant.
        relevant_from: lowest grade that counts as relevant in the binary measures (MRR, MAP, R).

    Raises:
        ValueError: for a score that is not a number.
    """
    measures = {name: _with_cutoff(measure, relevant_from) for name, measure in MEASURES.items()}
    values = measure_values(list(measures.values()), qrels, scores)
    return {name: values[str(measure)] for name, measure in measures.items()}


def measure_values(measures: Sequence[ir_measures.Measure], qrels: Grades, scores: Scores) -> PerQuery:
    """As `per_query_values`, for any measures of ir_measures, by their own names."""
    # Ranks instead of scores: not every implementation behind ir_measures breaks ties as trec_eval does.
    ranked = {query_id: _minus_ranks(query_id, found) for query_id, found in scores.items() if found}
    values: PerQuery = {str(measure): dict.fromkeys(qrels, 0.0) for measure in measures}
    for metric in ir_measures.iter_calc(measures, qrels, ranked):
        values[str(metric.measure)][metric.query_id] = metric.value
    return values


def trec_eval_order(scores: Mapping[str, float]) -> list[str]:
    """The docids as trec_eval ranks them."""
    return sorted(scores, key=lambda docid: (np.float32(scores[docid]), docid), reverse=True)


def _minus_ranks(query_id: str, scores: Mapping[str, float]) -> dict[str, float]:
    wrong = next((docid for docid, score in scores.items() if math.isnan(score)), None)
    if wrong is not None:
        raise ValueError(f"query {query_id}: the score of {wrong} is not a number")
    return {docid: float(-rank) for rank, docid in enumerate(trec_eval_order(scores), start=1)}


def _with_cutoff(measure: ir_measures.Measure, relevant_from: int) -> ir_measures.Measure:
    binary = "rel" in measure.SUPPORTED_PARAMS and relevant_from > 1
    return measure(rel=relevant_from) if binary else measure


def mean(values: Mapping[str, float]) -> float:
    """Mean over queries."""
    return sum(values.values()) / len(values)
