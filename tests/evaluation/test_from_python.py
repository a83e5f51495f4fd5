"""An evaluation without its command line."""

import json

from evaluation.run import evaluate
from evaluation.settings import EvaluationSettings


def test_an_evaluation_is_called_with_one_record_and_gives_reports_and_files(collection, tmp_path):
    first_stage, other = tmp_path / "first.txt", tmp_path / "other.txt"
    first_stage.write_text("q1 Q0 jupiter 1 2.0 x\nq1 Q0 mars 2 1.0 x\nq2 Q0 saturn 1 1.0 x\n")
    other.write_text("q1 Q0 mars 1 2.0 x\nq1 Q0 jupiter 2 1.0 x\nq2 Q0 saturn 1 1.0 x\n")
    found = evaluate(
        EvaluationSettings(
            collection=[f"planets={collection}"],
            first_stage=[str(first_stage)],
            run=[f"other={other}"],
            limit_queries=1,
            output_dir=tmp_path / "runs",
        )
    )
    (report,) = found.reports
    values = {result.system.name: result.values["nDCG@1"] for result in report.results}
    assert values == {"first": {"q1": 0.5}, "other": {"q1": 1.0}}
    (record,) = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert (record["num_queries"], record["num_judged"]) == (1, 2)
    assert record["collection"] == "planets" and list(record["systems"]) == ["first", "other"]
