"""The field's measures of a ranking as a metric of `evaluate`.

Self-contained, so that `evaluate.load("evaluation/metrics/reranking")` needs neither network nor checkout.
"""

from collections.abc import Mapping, Sequence

import datasets
import evaluate

from .trec_measures import mean, per_query_values


class Reranking(evaluate.Metric):
    """Mean nDCG@1/5/10, MRR@10, MAP, R@100 and judged@10 of rankings against graded judgments.

    Example:
        >>> metric = evaluate.load("evaluation/metrics/reranking")
        >>> metric.compute(
        ...     predictions=[{"query_id": "q1", "docids": ["a", "b"], "scores": [0.2, 1.5]}],
        ...     references=[{"query_id": "q1", "docids": ["b"], "grades": [3]}],
        ... )["nDCG@10"]
        1.0
    """

    def _info(self) -> evaluate.MetricInfo:
        text, numbers = datasets.Value("string"), datasets.Value("float64")
        return evaluate.MetricInfo(
            description="trec_eval's measures, every judged query counted, ties by docid, descending.",
            citation="",
            inputs_description="One row a judged query; a query that was not ranked has empty lists. "
            "relevant_from: lowest relevant grade of MRR, MAP and R. per_query=True adds each query's values.",
            features=datasets.Features(
                {
                    "predictions": {
                        "query_id": text,
                        "docids": datasets.List(text),
                        "scores": datasets.List(numbers),
                    },
                    "references": {
                        "query_id": text,
                        "docids": datasets.List(text),
                        "grades": datasets.List(datasets.Value("int64")),
                    },
                }
            ),
        )

    def _compute(
        self,
        predictions: Sequence[Mapping],
        references: Sequence[Mapping],
        relevant_from: int = 1,
        per_query: bool = False,
    ) -> dict[str, object]:
        qrels = {row["query_id"]: _paired(row, "grades") for row in references}
        scores = {row["query_id"]: _paired(row, "scores") for row in predictions}
        values = per_query_values(qrels, scores, relevant_from)
        means: dict[str, object] = {name: mean(found) for name, found in values.items()}
        return means | {"per_query": values} if per_query else means


def _paired(row: Mapping, column: str) -> dict:
    if len(set(row["docids"])) != len(row["docids"]):
        raise ValueError(f"query {row['query_id']}: a docid stands twice")
    return dict(zip(row["docids"], row[column], strict=True))
