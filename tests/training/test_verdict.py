"""What a training is called: a win has to be proven, a loss has not."""

import pytest

from training.verdict import give_verdict, read_verdict


def verdict(*differences, start=0.5, **options):
    before = {str(number): start for number in range(len(differences))}
    after = {str(number): start + difference for number, difference in enumerate(differences)}
    return give_verdict({"dev": before}, {"dev": after}, seed=0, **options)


@pytest.mark.parametrize(
    ("differences", "word"),
    [
        ([0.1] * 8, "WIN"),
        ([0.1] * 4, "LEVEL"),  # better, but of 16 sign patterns 2 are as extreme: p 0.125
        ([0.0] * 8, "LEVEL"),
        ([0.3, -0.29, 0.2, -0.2], "LEVEL"),
        ([0.001, -0.002, 0.001, -0.002], "LEVEL"),
        ([-0.1] * 8, "WORSE"),
        ([-0.1], "WORSE"),  # one query proves nothing, and is no reason to call it level
        ([0.3, -0.5, 0.2, -0.1], "WORSE"),
        ([-0.001] * 12, "WORSE"),  # little, but for certain
    ],
)
def test_the_word_follows_from_difference_and_p(differences, word):
    assert verdict(*differences).word == word


@pytest.mark.parametrize("fall", [0.0051, 0.02, 0.3])
def test_a_training_that_makes_the_student_worse_is_called_nothing_but_worse(fall):
    """However few the queries, and however they scatter around the fall."""
    for scatter in (0.0, 0.1, 0.5):
        for number in (1, 2, 5, 50):
            around = [scatter * (-1) ** index for index in range(number // 2 * 2)] + [0.0] * (number % 2)
            assert verdict(*(value - fall for value in around)).word == "WORSE"


def test_judgments_count_before_the_teachers_opinion():
    start = {"judged": {"a": 0.5, "b": 0.5}, "teacher": {"c": 0.5}}
    end = {"judged": {"a": 0.4, "b": 0.4}, "teacher": {"c": 0.9}}
    found = give_verdict(start, end, seed=0)
    assert found.word == "WORSE"
    assert [round(change.difference, 4) for change in found.changes] == [-0.1, 0.4]


def test_queries_are_paired_by_their_id():
    found = give_verdict({"d": {"a": 0.1, "b": 0.9}}, {"d": {"b": 0.9, "a": 0.1}}, seed=0)
    assert (found.changes[0].difference, found.changes[0].p) == (0.0, 1.0)


def test_the_line_says_from_where_to_where_and_what_was_merged():
    line = str(verdict(*[0.1] * 8, merge_weight=0.6))
    assert line.startswith("WIN: the student against its start: nDCG@10 0.5000 → 0.6000 (+0.1000, p 0.00")
    assert line.endswith("8 queries) on dev; merged with 40% of the start")
    assert "nothing was held out" in str(give_verdict({}, {}, seed=0))
    assert give_verdict({}, {}, seed=0).word == "UNKNOWN"


def test_a_verdict_is_read_as_it_was_written():
    found = verdict(0.1, 0.2, merge_weight=0.2)
    assert read_verdict(found.to_json()) == found
