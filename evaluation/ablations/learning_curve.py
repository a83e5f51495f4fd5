"""The learning curve: a student's quality by the number of queries it learned from, and its break-even.

The curve of one number of passages a query runs over the grid's `max_train_samples`; the untrained start
(`max_train_samples: 0`) is what it is held against. It breaks even where more queries stop being a loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from evaluation.ablations.grid import PASSAGES, QUERIES, Ablation
from evaluation.ablations.table import RowResult
from evaluation.measures import MAIN_MEASURE

# Means over other numbers of seeds sum in another order: the same rankings may differ by this much.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Students of the same number of passages a query. `results`: one a number of queries, ascending.

    `num_passages`: as its row is labelled; None where the ablation does not vary it.
    """

    num_passages: str | None
    num_queries: Sequence[int]
    results: Sequence[RowResult]
    start: RowResult

    @property
    def means(self) -> list[float]:
        """nDCG@10 of each number of queries, over seeds and judged queries."""
        return [result.mean for result in self.results]

    @property
    def break_even(self) -> float | None:
        """The number of queries from which on it is at or above the start; see `break_even`."""
        return break_even(self.num_queries, self.means, self.start.mean)


def learning_curves(ablation: Ablation, results: Sequence[RowResult]) -> list[LearningCurve]:
    """The curves of a learning curve's rows, one a number of passages; the first row is the start of all."""
    start, *students = results
    points: dict[str | None, list[tuple[int, RowResult]]] = {}
    for result in students:
        values = dict(zip(ablation.factors, result.label, strict=True))
        points.setdefault(values.get(PASSAGES), []).append((int(values[QUERIES]), result))
    return [
        LearningCurve(num_passages, [number for number, _ in found], [result for _, result in found], start)
        for num_passages, found in points.items()
    ]


def break_even(num_queries: Sequence[int], means: Sequence[float], start: float) -> float | None:
    """The number of queries from which on a curve is at or above `start`, or None where it ends below.

    Between two measured numbers the curve is a line over log(queries). Of several crossings the last one
    counts: a curve that dips below the start again has not broken even. A curve that is nowhere below gives
    its smallest number.

    Args:
        num_queries: ascending, each above 0.
        means: the curve's quality at each.
    """
    below = [position for position, mean in enumerate(means) if mean < start - ROUNDING]
    if not below:
        return float(num_queries[0])
    last = below[-1]
    if last == len(means) - 1:
        return None
    share = (start - means[last]) / (means[last + 1] - means[last])
    return float(num_queries[last] * (num_queries[last + 1] / num_queries[last]) ** share)


def break_even_sentence(curve: LearningCurve) -> str:
    """`Break-even with 10 passages a query: about 1,340 queries (start 0.3775).`, or that there is none."""
    varied = "" if curve.num_passages is None else f" with {curve.num_passages} passages a query"
    return f"Break-even{varied}: {_found(curve)} (start {curve.start.mean:.4f})."


def learning_curve_plot(collection: str, first_stage: float, curves: Sequence[LearningCurve]) -> Figure:
    """nDCG@10 by the number of queries (log), with 95% intervals; break-evens are starred.

    Args:
        first_stage: nDCG@10 of what was reranked.
        curves: of one ablation, which share their start.
    """
    figure = Figure(figsize=(7.5, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    start = curves[0].start
    axes.axhspan(*start.interval, color="black", alpha=0.08, linewidth=0)
    axes.axhline(start.mean, color="black", linestyle="--", label=f"start, not trained: {start.mean:.4f}")
    axes.axhline(first_stage, color="grey", linestyle="--", label=f"not reranked: {first_stage:.4f}")
    for position, curve in enumerate(curves):
        _draw(axes, curve, f"C{position}", points_aside=6 * position - 3 * (len(curves) - 1))
    _label_axes(axes, collection, sorted({number for curve in curves for number in curve.num_queries}))
    return figure


def _draw(axes: Axes, curve: LearningCurve, color: str, points_aside: float) -> None:
    """Draw a curve, some points to the side so that its intervals do not hide another's."""
    means = np.array(curve.means)
    low, high = np.array([result.interval for result in curve.results]).T
    errors = [means - low, high - means]
    varied = "students" if curve.num_passages is None else f"{curve.num_passages} passages a query"
    label = f"{varied}; break-even: {_found(curve)}"
    bars = axes.errorbar(curve.num_queries, means, errors, fmt="o-", capsize=4, color=color, label=label)
    drawn = list(bars.get_children())
    if curve.break_even is not None:
        height = np.interp(math.log(curve.break_even), np.log(curve.num_queries), means)
        drawn += axes.plot(curve.break_even, height, "*", markersize=15, color=color, markeredgecolor="black")
    # Only now: the limits of the axes come from the data alone.
    aside = offset_copy(axes.transData, axes.get_figure(root=True), x=points_aside, units="points")
    for artist in drawn:
        artist.set_transform(aside)


def _label_axes(axes: Axes, collection: str, numbers: Sequence[int]) -> None:
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.minorticks_off()
    axes.set_xlabel("queries trained on (log)")
    axes.set_ylabel(f"{MAIN_MEASURE} on {collection}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.15))


def _found(curve: LearningCurve) -> str:
    crossing = curve.break_even
    if crossing is None:
        return f"not reached within {curve.num_queries[-1]:,} queries"
    if crossing == curve.num_queries[0]:
        return f"from the smallest number, {curve.num_queries[0]:,}, on"
    return f"about {float(f'{crossing:.3g}'):,.0f} queries"
