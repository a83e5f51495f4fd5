"""Queries, judgments and runs: the forms they come in, and what is said of those that contradict themselves."""

import pytest

from retrieval.errors import InputError
from retrieval.judgments import read_qrels
from retrieval.queries import read_queries
from retrieval.records import Hit
from retrieval.trec_run import read_ranked_run, read_run


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"_id": 1, "text": "a"}\n{"_id": "1", "text": "a"}\n', {"1": "a"}),
        ('{"id": "1", "query": "a", "metadata": {}}\n', {"1": "a"}),
        ("1\ta\n1\ta\n", {"1": "a"}),
        ("qid\tquery\n1\ta b\n", {"1": "a b"}),
        ('query\tquery_id\n"say ""a"""\t1\n', {"1": 'say "a"'}),
        ('1\tsay "a"\n2\t"a" or "b"\n', {"1": 'say "a"', "2": '"a" or "b"'}),
    ],
)
def test_queries_are_read_in_each_of_their_forms(tmp_path, text, expected):
    assert read_queries(write(tmp_path / "queries", text)) == expected


def test_half_a_surrogate_pair_in_a_query_is_replaced_and_said(tmp_path, capsys):
    path = write(
        tmp_path / "queries.jsonl",
        '{"_id": "1", "text": "red \\ud83d planet"}\n{"_id": "2", "text": "\\ud83d\\ude00"}\n',
    )
    assert read_queries(path) == {"1": "red \ufffd planet", "2": "😀"}
    assert capsys.readouterr().err == f"{path} line 1: half a surrogate pair is read as U+FFFD\n"


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t0\n",
        "q\ta\t2\nq\tb\t0\n",
        " q \ta\t2\r\nq\t b\t0 \n",
        "q 0 a 2\nq 0 b 0\nq 0 a 2\n",
        "q\t0\ta\t2\nq\t0\tb\t0\n",
        "q  Q0  a  +2\n\nq 0 b -0\n",
    ],
)
def test_judgments_are_read_in_beir_s_form_and_in_trec_s(tmp_path, text):
    assert read_qrels(write(tmp_path / "qrels", text)) == {"q": {"a": 2, "b": 0}}


def test_judgments_that_disagree_are_refused_with_both_grades(tmp_path):
    with pytest.raises(InputError, match=r"line 3: a has the grade 1 for query q already, and here 0"):
        read_qrels(write(tmp_path / "qrels", "q 0 a 1\nq 0 b 0\nq 0 a 0\n"))


def test_ties_of_a_ranking_follow_the_written_rank_and_those_of_a_run_trec_eval(tmp_path):
    path = write(tmp_path / "ties.txt", "1 Q0 d4 2 0 r\n1 Q0 d1 1 0 r\n1 Q0 d2 3 0 r\n1 Q0 d9 0 1 r\n")
    assert [hit.docid for hit in read_ranked_run(path)["1"]] == ["d9", "d1", "d4", "d2"]
    assert [hit.docid for hit in read_run(path)["1"]] == ["d9", "d4", "d2", "d1"]


def test_a_rank_is_needed_only_where_ties_follow_it(tmp_path):
    path = write(tmp_path / "run.txt", "1 Q0 d1 - 1.5e0 r\n")
    assert read_run(path) == {"1": [Hit("d1", 1.5)]}
    with pytest.raises(InputError, match="line 1: the rank is not a whole number"):
        read_ranked_run(path)
