"""Queries that are passages (ArguAna, Quora, and FiQA's numbers) evaluate as BEIR evaluates them, by pytrec_eval."""

import json
import random

import pytest
import pytrec_eval

from evaluation.run import evaluate
from evaluation.settings import EvaluationSettings
from retrieval.records import Passage
from retrieval.retrievers.lucene import BM25, build_lucene_index

WORDS = [
    "market", "school", "uniform", "animal", "zoo", "ship", "harbour", "storm", "price", "loan", "bond", "cell",
    "protein", "mouse", "trial", "dose",
]  # fmt: skip
ARGUMENTS = {
    "q-pro-1": "School uniforms make pupils equal and end teasing about clothes.",
    "q-con-1": "Uniforms do not end teasing, pupils find other things such as shoes and phones.",
    "q-pro-2": "Zoos protect rare animals that have lost their home in the wild.",
    "q-con-2": "Rare animals in zoos suffer, protecting their wild home is better than zoos.",
    "x1": "The market opens at six.",
}


def save(folder, passages, queries, qrels):
    """A folder in BEIR's layout; `qrels`: (query, passage, grade)."""
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": docid, "title": title, "text": text} for docid, (title, text) in passages.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"_id": query_id, "text": text} for query_id, text in queries.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{docid}\t{grade}" for query, docid, grade in qrels)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


def text(rng, length):
    return " ".join(rng.choices(WORDS, k=length))


def scifact_like(rng):
    passages = {str(4000 + n): (text(rng, 3), text(rng, 20)) for n in range(40)}
    queries = {str(n): text(rng, 4) for n in range(8)}
    return passages, queries, [(str(n), str(4000 + 5 * n), 1) for n in range(8)]


def fiqa_like(rng):
    """Queries and passages are numbered apart, so that a query may bear a passage's number by chance."""
    passages = {str(n): ("", text(rng, 15)) for n in range(40)}
    queries = {str(n): passages[str(n)][1][:20] for n in range(0, 40, 5)}
    return passages, queries, [(query, str(int(query) + step), 1) for query in queries for step in (0, 1, 2)]


def arguana_like(rng):
    passages = {f"{topic}-{side}": (topic, text(rng, 12)) for topic in WORDS for side in ("pro", "con")}
    queries = {docid: passages[docid][1] for docid in passages if docid.endswith("pro")}
    return passages, queries, [(query, query.replace("pro", "con"), 1) for query in queries]


def beir_values(folder, passages, queries, qrels, top_k):
    """nDCG@10 and MAP by BEIR's rules: one passage more is searched, and that of the query's id is dropped."""
    build_lucene_index((Passage(docid, *fields) for docid, fields in passages.items()), folder)
    found = BM25(folder).search(list(queries.values()), top_k + 1)
    run = {}
    for query_id, hits in zip(queries, found, strict=True):
        others = [hit for hit in hits if hit.docid != query_id][:top_k]
        run[query_id] = {hit.docid: hit.score for hit in others}
    grades = {}
    for query_id, docid, grade in qrels:
        grades.setdefault(query_id, {})[docid] = grade
    measures = {"ndcg_cut.10", "map"}
    values = pytrec_eval.RelevanceEvaluator(grades, measures).evaluate(run)
    return {
        ours: {query_id: found[theirs] for query_id, found in values.items()}
        for ours, theirs in (("nDCG@10", "ndcg_cut_10"), ("MAP", "map"))
    }


@pytest.mark.parametrize(
    ("make", "own"),
    [(scifact_like, 0), (fiqa_like, 8), (arguana_like, 16)],
    ids=lambda make: str(make)[10:22],
)
def test_a_folder_evaluates_to_what_pytrec_eval_gives_by_beir_s_rules(tmp_path, make, own):
    passages, queries, qrels = make(random.Random(7))
    folder = save(tmp_path / "collection", passages, queries, qrels)
    settings = EvaluationSettings([f"small={folder}"], top_k=10, output_dir=tmp_path / "runs")
    (report,) = evaluate(settings).reports
    expected = beir_values(tmp_path / "index", passages, queries, qrels, 10)
    for measure, values in expected.items():
        assert report.results[0].values[measure] == pytest.approx(values, abs=1e-9)
    assert 0 < report.results[0].main < 1 and report.num_own == own
    said = (tmp_path / "runs" / "results.md").read_text()
    assert (f"the passage that is the query itself (of {own} queries)" in said) == bool(own)


@pytest.fixture
def arguments(tmp_path):
    queries = {query_id: words for query_id, words in ARGUMENTS.items() if "pro" in query_id}
    passages = {docid: ("", words) for docid, words in ARGUMENTS.items()}
    qrels = [(query_id, query_id.replace("pro", "con"), 1) for query_id in queries]
    return save(tmp_path / "arguments", passages, queries, qrels)


def test_an_argument_s_own_passage_is_no_answer_to_it(arguments, tmp_path):
    (report,) = evaluate(EvaluationSettings([str(arguments)], output_dir=tmp_path / "runs")).reports
    assert report.results[0].main == 1.0  # 0.6309 with the argument itself in first place
    (record,) = json.loads((tmp_path / "runs" / "results.json").read_text())
    assert record["own_passages_left_out"] == 2


def test_a_run_s_own_passages_are_left_out_too_before_its_best_are_taken(arguments, tmp_path):
    run = tmp_path / "theirs.txt"
    lines = [
        f"q-pro-{n} Q0 {docid} {rank} {-rank} x"
        for n in (1, 2)
        for rank, docid in enumerate((f"q-pro-{n}", f"q-con-{n}", "x1"), start=1)
    ]
    run.write_text("\n".join(lines) + "\n")
    settings = EvaluationSettings(
        [str(arguments)], first_stage=[str(run)], run=[f"again={run}"], top_k=1, output_dir=tmp_path / "runs"
    )
    (report,) = evaluate(settings).reports
    assert {result.system.name: result.main for result in report.results} == {"theirs": 1.0, "again": 1.0}
    assert [hit.docid for hit in report.candidates.run["q-pro-1"]] == ["q-con-1"]
