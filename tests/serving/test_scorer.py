"""What waits is scored together up to a number of tokens; a long request lets others in; a fault stays alone."""

from concurrent.futures import Future

import pytest

from serving.scorer import CannotScore, Scored, Scorer, ScoringEnded
from tests.serving.conftest import Words


@pytest.fixture
def scorer():
    groups = []
    found = Scorer(12, groups.append)
    found.groups = groups
    yield found
    found.end()


def while_one_is_scored(scorer, model, *requests):
    """The futures of these requests, which all arrived while another was being scored."""
    model.gate.clear()
    first = scorer.submit(model, "first", ["first"])
    while not model.calls:
        pass
    futures = [scorer.submit(model, query, documents) for query, documents in requests]
    model.gate.set()
    assert first.result(10) == Scored([1.0], 2)
    return futures


def test_requests_that_wait_are_scored_in_one_call_up_to_the_tokens(scorer):
    model = Words()
    futures = while_one_is_scored(
        scorer, model, ("a", ["a b", "b c"]), ("b", ["b b b", "c"]), ("c", ["c c c", "c"])
    )
    assert [future.result(10) for future in futures] == [
        Scored([1.0, 0.0], 5),
        Scored([3.0, 0.0], 5),
        Scored([3.0, 1.0], 5),
    ]
    # A pair of one query token and a document of two has three tokens: twelve are the first two requests'.
    assert model.calls[1:] == [
        [("a", "a b"), ("a", "b c"), ("b", "b b b"), ("b", "c")],
        [("c", "c c c"), ("c", "c")],
    ]
    assert [(group.num_requests, group.num_pairs, group.num_tokens) for group in scorer.groups[1:]] == [
        (2, 4, 12),
        (1, 2, 6),
    ]


def test_a_short_request_is_scored_between_the_parts_of_a_long_one(scorer):
    model = Words()
    long, short = while_one_is_scored(scorer, model, ("a", ["a b c"] * 7), ("b", ["b"]))
    assert long.result(10) == Scored([1.0] * 7, 22)
    assert short.result(10) == Scored([1.0], 2)
    assert [[query for query, _ in call] for call in model.calls[1:]] == [
        ["a"] * 3,
        ["b", "a", "a"],
        ["a", "a"],
    ]


def test_a_document_longer_than_a_group_is_scored_by_itself(scorer):
    model = Words()
    futures = while_one_is_scored(scorer, model, ("a", ["a " * 40]), ("b", ["b"]))
    assert [future.result(10).scores for future in futures] == [[40.0], [1.0]]
    assert [len(call) for call in model.calls[1:]] == [1, 1]


def test_each_checkpoint_is_asked_for_its_own(scorer):
    one, other = Words(), Words()
    first = while_one_is_scored(scorer, one, ("a", ["a"]))
    second = scorer.submit(other, "b", ["b"])
    assert [future.result(10).scores for future in (*first, second)] == [[1.0], [1.0]]
    assert other.calls == [[("b", "b")]]


def test_a_request_that_cannot_be_scored_fails_alone(scorer):
    model = Words()
    good, bad = while_one_is_scored(scorer, model, ("a", ["a"]), ("b", ["fail"]))
    assert good.result(10) == Scored([1.0], 2)
    with pytest.raises(CannotScore, match=r"^this checkpoint$"):
        bad.result(10)
    assert scorer.submit(model, "a", ["a"]).result(10) == Scored([1.0], 2)


def test_a_cancelled_request_is_not_scored(scorer):
    model = Words()
    model.gate.clear()
    first = scorer.submit(model, "first", ["first"])
    while not model.calls:
        pass
    cancelled, kept = scorer.submit(model, "a", ["a"]), scorer.submit(model, "b", ["b"])
    assert cancelled.cancel()
    model.gate.set()
    assert [future.result(10).scores for future in (first, kept)] == [[1.0], [1.0]]
    assert model.calls[1:] == [[("b", "b")]]


def test_at_the_end_all_that_wait_are_told_even_while_a_call_lasts():
    model, scorer = Words(), Scorer(12)
    model.gate.clear()
    running = scorer.submit(model, "first", ["first"])
    while not model.calls:
        pass
    futures: list[Future[Scored]] = [running, scorer.submit(model, "a", ["a"])]
    scorer.end()
    futures.append(scorer.submit(model, "late", ["late"]))
    for future in futures:
        with pytest.raises(ScoringEnded):
            future.result(1)
    model.gate.set()
