"""The measures are trec_eval's, also with ties, missing queries and unjudged passages."""

import itertools
from pathlib import Path

import evaluate
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evaluation.measures import mean, per_query
from evaluation.significance import (
    bootstrap_interval,
    compare,
    holm,
    randomization_test,
    seed_interval,
    t_test,
)
from retrieval.errors import InputError
from retrieval.trec_run import ordered, read_run, write_run

ROOT = Path(__file__).parents[2]
DOCIDS = [f"d{number}" for number in range(12)]
QUERIES = ["q1", "q2", "q3"]
TREC_EVAL = {
    "nDCG@1": "ndcg_cut_1",
    "nDCG@5": "ndcg_cut_5",
    "nDCG@10": "ndcg_cut_10",
    "MAP": "map",
    "R@100": "recall_100",
    "MRR@10": "recip_rank",
}

grades = st.dictionaries(st.sampled_from(DOCIDS), st.integers(0, 3), min_size=1, max_size=8)
# 1 and 1 + 1e-9 are one number to trec_eval, which keeps scores in 32 bits.
found = st.dictionaries(
    st.sampled_from(DOCIDS), st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 2.0, 2.5]), min_size=1
)
judgments = st.fixed_dictionaries({query: grades for query in QUERIES})
rankings = st.dictionaries(st.sampled_from(QUERIES), found, min_size=1)


def trec_evals(qrels, run, relevant_from):
    names = {"ndcg_cut.1,5,10", "map", "recall.100", "recip_rank"}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, names, relevance_level=relevant_from)
    values = evaluator.evaluate(run)
    for found in values.values():
        found["recip_rank"] *= found["recip_rank"] >= 0.1
    return values


@settings(max_examples=150, deadline=None)
@given(judgments, rankings, st.integers(1, 2))
def test_measures_equal_trec_evals(qrels, run, relevant_from):
    ours = per_query(qrels, {query: ordered(scores) for query, scores in run.items()}, relevant_from)
    theirs = trec_evals(qrels, run, relevant_from)
    for query in qrels:
        for name, trec_name in TREC_EVAL.items():
            expected = theirs[query][trec_name] if query in run else 0.0
            assert ours[name][query] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(judgments, rankings)
def test_judged_at_10_is_the_share_of_trec_evals_top_10_that_has_a_grade(qrels, run):
    ours = per_query(qrels, {query: ordered(scores) for query, scores in run.items()})["judged@10"]
    for query, scores in run.items():
        top = sorted(scores, key=lambda docid: (np.float32(scores[docid]), docid), reverse=True)[:10]
        assert ours[query] == pytest.approx(sum(docid in qrels[query] for docid in top) / len(top))


@pytest.fixture(scope="module")
def metric():
    return evaluate.load(str(ROOT / "evaluation" / "metrics" / "reranking"))


@settings(max_examples=10, deadline=None)
@given(qrels=judgments, run=rankings)
def test_the_evaluate_metric_loads_offline_and_gives_the_same(metric, qrels, run):
    references = [
        {"query_id": query, "docids": list(judged), "grades": list(judged.values())}
        for query, judged in qrels.items()
    ]
    predictions = [
        {"query_id": query, "docids": list(run.get(query, {})), "scores": list(run.get(query, {}).values())}
        for query in qrels
    ]
    result = metric.compute(predictions=predictions, references=references, per_query=True)
    ours = per_query(qrels, {query: ordered(scores) for query, scores in run.items()})
    assert result.pop("per_query") == ours
    assert result == {name: pytest.approx(mean(values)) for name, values in ours.items()}


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        ({"query_id": "q", "docids": ["a", "a"], "scores": [1.0, 2.0]}, "query q: a docid stands twice"),
        (
            {"query_id": "q", "docids": ["a"], "scores": [float("nan")]},
            "query q: the score of a is not a number",
        ),
    ],
)
def test_the_metric_refuses_what_is_no_ranking(metric, prediction, message):
    with pytest.raises(ValueError, match=message):
        metric.compute(
            predictions=[prediction], references=[{"query_id": "q", "docids": ["a"], "grades": [1]}]
        )


def test_a_query_that_the_run_missed_counts_as_zero():
    values = per_query({"a": {"x": 1}, "b": {"y": 1}}, {"a": ordered({"x": 1.0})})
    assert values["nDCG@10"] == {"a": 1.0, "b": 0.0}
    assert mean(values["nDCG@10"]) == 0.5


def test_binary_measures_can_ask_for_a_higher_grade():
    run = {"a": ordered({"x": 2.0, "y": 1.0})}
    assert per_query({"a": {"x": 1, "y": 2}}, run)["MRR@10"]["a"] == 1.0
    assert per_query({"a": {"x": 1, "y": 2}}, run, relevant_from=2)["MRR@10"]["a"] == 0.5


def test_ties_are_broken_by_docid_descending():
    assert [hit.docid for hit in ordered({"a": 1.0, "c": 1.0, "b": 2.0})] == ["b", "c", "a"]


def test_a_run_file_survives_the_round_trip(tmp_path):
    run = {"q": ordered({"a": 0.1 + 0.2, "b": -3.0})}
    write_run(tmp_path / "r.txt", run, "x")
    assert read_run(tmp_path / "r.txt") == run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q Q0 d 1 2.0\n", "line 1: 5 fields"),
        ("q Q0 d 1 high x\n", "line 1: the score 'high' is not a finite number"),
        ("q Q0 d 1 2 x\nq Q0 d 2 1 x\n", "line 2: d is ranked twice for query q"),
        ("", "is empty"),
    ],
)
def test_a_bad_run_file_names_its_line(tmp_path, text, message):
    (tmp_path / "r.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path / "r.txt")


def test_a_constant_gain_is_significant_and_none_is_not():
    base = [0.1 * (number % 7) for number in range(40)]
    better = [value + 0.2 + 0.01 * (number % 3) for number, value in enumerate(base)]
    gain, none = compare({"base": base, "better": better, "same": base}, "base", seed=0)
    assert gain.difference == pytest.approx(0.21, abs=0.005)
    assert gain.significant and gain.p_t_test < 1e-6
    # Of the difference itself: the systems' own intervals are 50 times as wide.
    assert 0.20 <= gain.interval[0] < gain.difference < gain.interval[1] <= 0.22
    assert none.interval == (0.0, 0.0)
    assert not none.significant and none.p_randomization == 1.0


def test_tests_agree_with_scipy_and_exact_enumeration():
    differences = np.array([0.3, -0.1, 0.25, 0.4, 0.05, -0.2, 0.15, 0.3])
    assert t_test(differences) == pytest.approx(stats.ttest_rel(differences, np.zeros(8)).pvalue)
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=8)]
    exact = np.mean([total >= abs(differences.sum()) - 1e-12 for total in sums])
    assert randomization_test(differences, seed=1) == pytest.approx(exact, abs=0.02)


def test_holm_steps_down_and_stays_monotone():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_bootstrap_interval_holds_the_mean():
    low, high = bootstrap_interval([0.0, 1.0] * 50, seed=0)
    assert 0.38 < low < 0.5 < high < 0.62


def test_the_interval_over_seeds_widens_with_their_spread():
    queries = np.linspace(0, 1, 50)
    same = seed_interval(np.array([queries, queries, queries]), seed=0)
    spread = seed_interval(np.array([queries - 0.2, queries, queries + 0.2]), seed=0)
    assert same[0] < 0.5 < same[1]
    assert same == pytest.approx(bootstrap_interval(queries.tolist(), seed=1), abs=0.01)
    assert spread[1] - spread[0] > 1.3 * (same[1] - same[0])
