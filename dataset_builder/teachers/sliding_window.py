"""Ranks a list longer than a model's window: windows slide from the end of the list to its head.

Source: Sun et al., "Is ChatGPT Good at Search?", EMNLP 2023, section 3.2: window 20, step 10, from the
last window to the first. Where we differ: their code leaves the head of a list unranked where
(length − window) is no multiple of the step; here the first window is cut at the head instead, so that
every passage is ranked. A list no longer than the window is one window.
"""

from collections.abc import Generator, Sequence

WINDOW_SIZE = 20
STEP = 10


def window_spans(length: int, size: int = WINDOW_SIZE, step: int = STEP) -> list[tuple[int, int]]:
    """The windows of a list as (begin, end), in the order they are ranked: from last to first.

    Neighbours share `size - step` places, which carry the best of each window on to the next.

    Raises:
        ValueError: unless 1 <= step < size.
    """
    if not 1 <= step < size:
        raise ValueError(f"step {step} does not lie between 1 and the window's size {size} less one")
    if length < 2:
        return []
    spans = [(max(0, length - size), length)]
    while spans[-1][0] > 0:
        end = spans[-1][1] - step
        spans.append((max(0, end - size), end))
    return spans


def sort_in_windows(
    length: int, size: int = WINDOW_SIZE, step: int = STEP
) -> Generator[tuple[int, ...], Sequence[int], tuple[int, ...]]:
    """Sort `range(length)` window by window, by whoever drives this generator.

    Yields the indices in a window as they stand, is sent the same indices in their new order, and returns
    the order of all. The driver decides how windows are ranked and when: one call, or a round of a batch.

    Raises:
        ValueError: where what is sent is not a permutation of what was yielded.
    """
    order = list(range(length))
    for begin, end in window_spans(length, size, step):
        window = tuple(order[begin:end])
        ranked = yield window
        if sorted(ranked) != sorted(window):
            raise ValueError(f"{tuple(ranked)} is not a permutation of the window {window}")
        order[begin:end] = ranked
    return tuple(order)
