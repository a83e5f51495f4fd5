"""What a collection and runs over it lack is counted and said; names and files of systems are told apart."""

import json

import pytest
import pytrec_eval

from evaluation.run import evaluate
from evaluation.settings import EvaluationSettings
from evaluation.tables import details
from retrieval.errors import InputError
from retrieval.named import parse_named


@pytest.fixture
def fiqa(tmp_path):
    """A collection as FiQA is: no titles, empty passages; and a run that lacks a query and has foreign passages."""
    folder = tmp_path / "fiqa"
    (folder / "qrels").mkdir(parents=True)
    texts = {
        "1": "Buy an index fund.",
        "2": "",
        "3": "Taxes are due in April.",
        "4": " ",
        "5": "A bond pays interest.",
    }
    write_rows(
        folder / "corpus.jsonl", [{"_id": docid, "title": "", "text": text} for docid, text in texts.items()]
    )
    write_rows(folder / "queries.jsonl", [{"_id": f"q{number}", "text": "money"} for number in range(1, 5)])
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\t1\t1\nq1\t2\t1\nq2\t3\t1\nq3\t5\t0\nq4\t5\t1\n"
    )
    (folder / "run.txt").write_text(
        "q1 Q0 3 1 3 x\nq1 Q0 99 2 2 x\nq1 Q0 1 3 1 x\nq2 Q0 3 1 1 x\nq3 Q0 5 1 1 x\n"
    )
    return folder


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def settings(fiqa, **given):
    return EvaluationSettings(collection=[str(fiqa)], output_dir=fiqa / "out", **given)


def test_what_is_missing_is_counted_and_stands_under_the_table(fiqa):
    run = str(fiqa / "run.txt")
    (report,) = evaluate(settings(fiqa, first_stage=[run], run=[f"other={run}"])).reports
    assert report.notes == [
        "2 passages of the corpus have neither title nor text and were left out.",
        "1 of 4 queries have no relevant passage: all their grades are 0, and so is each measure.",
        "1 judged passages are not in the corpus.",
        "1 of 4 queries have no passage in run and count as 0.",
        "1 passages that run ranks are not in the corpus and were left out.",
        "1 of 4 queries have no passage in other and count as 0.",
        "1 passages that other ranks are not in the corpus.",
    ]
    assert details(report).notes.endswith(" ".join(report.notes))
    (record,) = json.loads((fiqa / "out" / "results.json").read_text())
    assert record["notes"] == report.notes


def test_a_collection_like_fiqa_has_the_values_of_pytrec_eval(fiqa):
    (report,) = evaluate(settings(fiqa, first_stage=[str(fiqa / "run.txt")])).reports
    qrels = {"q1": {"1": 1, "2": 1}, "q2": {"3": 1}, "q3": {"5": 0}, "q4": {"5": 1}}
    run = {"q1": {"3": 3.0, "1": 1.0}, "q2": {"3": 1.0}, "q3": {"5": 1.0}}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut_10"}).evaluate(run)
    expected = {query_id: theirs.get(query_id, {"ndcg_cut_10": 0.0})["ndcg_cut_10"] for query_id in qrels}
    assert report.results[0].values["nDCG@10"] == pytest.approx(expected)
    assert report.results[0].main == pytest.approx(0.3467, abs=1e-4)


def test_a_first_stage_of_another_corpus_is_refused(fiqa):
    (fiqa / "run.txt").write_text("q1 Q0 x 1 1 x\n")
    with pytest.raises(InputError, match="has none of the passages of fiqa"):
        evaluate(settings(fiqa, first_stage=[str(fiqa / "run.txt")]))


def test_a_path_with_an_equals_sign_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=5e-5").mkdir()
    (tmp_path / "lr=5e-5" / "run.txt").touch()
    assert parse_named("lr=5e-5/run.txt") == ("run.txt", "lr=5e-5/run.txt")
    assert parse_named("out/lr=5e-5/run.txt") == ("run.txt", "out/lr=5e-5/run.txt")
    assert parse_named("best=lr=5e-5/run.txt") == ("best", "lr=5e-5/run.txt")
    assert parse_named("my model=org/model") == ("my model", "org/model")
    assert parse_named("cosine:lr=5e-5") == ("cosine:lr=5e-5", "cosine:lr=5e-5")
    assert parse_named("a=") == ("a=", "a=")


def test_systems_whose_files_would_be_the_same_are_refused(fiqa):
    run = str(fiqa / "run.txt")
    with pytest.raises(InputError, match="the systems 'a b' and 'A-b' would be written to the same files"):
        evaluate(settings(fiqa, first_stage=[run], run=[f"a b={run}", f"A-b={run}"]))
