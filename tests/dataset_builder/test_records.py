"""A ranking example refuses what cannot be a label, and its JSONL keeps every digit of a score."""

import json
from dataclasses import replace

import pytest

from dataset_builder.build.folder import read_examples, write_examples
from dataset_builder.dataset.distill20k import row
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from retrieval.records import Passage, Query

POOL = RankingExample(
    Query("q", "red planet"),
    "bm25",
    tuple(
        RetrievedPassage(Passage(docid, "", f"about {docid}"), rank, 1.0 / rank)
        for rank, docid in enumerate(("sun", "mars", "moon"), start=1)
    ),
)
SCORED = replace(
    POOL, teacher_order=(1, 2, 0), teacher_scores=(-3.25, 0.1, 0.1), label_status="ok", teacher="t"
)


@pytest.mark.parametrize(
    ("order", "scores", "message"),
    [
        ((0, 1), None, "is not a permutation of its 3 passages"),
        (None, (1.0, 2.0, 3.0), "come without a teacher_order"),
        ((0, 1, 2), (3.0, 2.0), "are 2, its passages 3"),
        ((0, 1, 2), (), "are 0, its passages 3"),
        ((0, 1, 2), (3.0, float("nan"), 1.0), "are not all finite"),
        ((0, 1, 2), (float("inf"), 2.0, 1.0), "are not all finite"),
        ((0, 2, 1), (3.0, 2.0, 1.0), r"contradict its teacher_order \(0, 2, 1\)"),
    ],
)
def test_what_cannot_be_a_label_is_refused_with_the_query(order, scores, message):
    with pytest.raises(ValueError, match=f"of query 'q' {message}"):
        replace(POOL, teacher_order=order, teacher_scores=scores)


def test_equal_scores_allow_either_order():
    for order in ((1, 2, 0), (2, 1, 0)):
        assert replace(SCORED, teacher_order=order).teacher_order == order


def test_a_row_lists_each_passage_with_its_own_score_best_first():
    passages = row(SCORED)["retrieved_passages"]
    assert [(found["docid"], found["rank"], found["teacher_score"]) for found in passages] == [
        ("mars", 1, 0.1),
        ("moon", 2, 0.1),
        ("sun", 3, -3.25),
    ]
    unscored = row(replace(SCORED, teacher_scores=None))["retrieved_passages"]
    assert [found["teacher_score"] for found in unscored] == [None, None, None]


def test_examples_survive_the_jsonl_between_stages(tmp_path):
    examples = [POOL, SCORED, replace(SCORED, teacher_scores=None)]
    write_examples(tmp_path / "examples.jsonl", examples)
    assert list(read_examples(tmp_path / "examples.jsonl")) == examples


def test_pools_of_the_first_release_are_read_as_pools_without_scores(tmp_path):
    write_examples(tmp_path / "examples.jsonl", [POOL])
    old = json.loads((tmp_path / "examples.jsonl").read_text())
    del old["teacher_scores"]
    (tmp_path / "examples.jsonl").write_text(json.dumps(old) + "\n")
    assert list(read_examples(tmp_path / "examples.jsonl")) == [POOL]
