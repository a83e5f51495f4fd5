import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_builder.teachers.sliding_window import sort_in_windows, window_spans


def sorted_by(key, length, size=20, step=10):
    """Drive the generator with a perfect ranker; returns the order and the windows it was shown."""
    windows = sort_in_windows(length, size, step)
    shown = []
    ranked = None
    while True:
        try:
            shown.append(windows.send(ranked))
        except StopIteration as done:
            return done.value, shown
        ranked = sorted(shown[-1], key=key)


def test_the_papers_thirty_passages_take_two_windows():
    assert window_spans(30) == [(10, 30), (0, 20)]


def test_a_hundred_passages_take_nine_windows():
    assert window_spans(100) == [(begin, begin + 20) for begin in range(80, -1, -10)]


def test_a_list_shorter_than_the_window_is_one_window():
    assert window_spans(7) == [(0, 7)]


def test_the_head_is_ranked_where_the_step_does_not_divide_the_rest():
    assert window_spans(35) == [(15, 35), (5, 25), (0, 15)]


def test_nothing_is_asked_about_one_passage_or_none():
    assert window_spans(1) == window_spans(0) == []
    assert sorted_by(None, 1) == ((0,), [])


@pytest.mark.parametrize("step", [0, 20, -1])
def test_windows_that_would_not_overlap_are_refused(step):
    with pytest.raises(ValueError, match="step"):
        window_spans(30, 20, step)


def test_a_lost_passage_is_refused():
    windows = sort_in_windows(3)
    next(windows)
    with pytest.raises(ValueError, match="not a permutation"):
        windows.send((0, 1, 1))


@given(st.integers(2, 130), st.integers(2, 30), st.data())
def test_every_passage_is_shown_and_the_best_come_first_in_order(length, size, data):
    step = data.draw(st.integers(1, size - 1))
    relevance = data.draw(st.permutations(range(length)))
    order, shown = sorted_by(relevance.__getitem__, length, size, step)
    assert sorted(order) == list(range(length))
    assert set().union(*shown) == set(range(length))
    carried = min(size - step, length)
    best = sorted(range(length), key=relevance.__getitem__)
    assert list(order[:carried]) == best[:carried]
