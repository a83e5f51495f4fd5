"""The plots of an evaluation, as PNG files."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evaluation.measures import MAIN_MEASURE, ndcg_by_depth
from evaluation.report import Report, SystemResult

matplotlib.use("Agg")
DEPTHS = (1, 3, 5, 10, 20, 50, 100)


def write_plots(reports: Sequence[Report], folder: Path) -> list[Path]:
    """Per collection: gain and loss by query, nDCG by depth, and quality against latency."""
    written = []
    for report in reports:
        figures = {
            "gain_by_query": gain_by_query(report),
            "ndcg_by_depth": ndcg_at_depths(report),
            "quality_by_latency": quality_by_latency(report),
        }
        for name, figure in figures.items():
            if figure is not None:
                path = folder / "plots" / f"{slug(report.collection.name)}-{name}.png"
                written.append(save(figure, path))
    return written


def gain_by_query(report: Report) -> Figure | None:
    """Each query's nDCG@10 less the first stage's, sorted; one panel a system; None with no system."""
    base = report.results[0].values[MAIN_MEASURE]
    others = report.results[1:]
    if not others:
        return None
    figure = Figure(figsize=(8, 2.2 * len(others)), layout="constrained")
    panels = figure.subplots(len(others), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    for panel, result in zip(panels, others, strict=True):
        gains = np.sort([result.values[MAIN_MEASURE][query] - base[query] for query in base])[::-1]
        panel.bar(range(len(gains)), gains, width=1.0, color=np.where(gains < 0, "tab:red", "tab:blue"))
        panel.axhline(0, color="black", linewidth=0.8)
        counts = f"{(gains > 0).sum()} better, {(gains < 0).sum()} worse"
        panel.set_title(f"{result.system.name}: {counts}", fontsize=10)
    panels[-1].set_xlabel(f"queries of {report.collection.name}")
    figure.supylabel(f"{MAIN_MEASURE} gained over {report.candidates.name}", fontsize=10)
    return figure


def ndcg_at_depths(report: Report) -> Figure:
    """Mean nDCG@k for k up to the depth that was reranked."""
    figure, axes = _axes(f"{report.collection.name}: nDCG by depth", "depth k", "nDCG@k")
    depths = [depth for depth in DEPTHS if depth <= report.top_k]
    for result in report.results:
        values = ndcg_by_depth(report.collection.qrels, result.system.run, depths)
        axes.plot(depths, values, marker="o", label=result.system.name)
    axes.set_xscale("log")
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.minorticks_off()
    axes.legend()
    return figure


def quality_by_latency(report: Report) -> Figure | None:
    """nDCG@10 with its 95% interval against passages/s, and the seconds a query takes; None if none was timed."""
    timed = [result for result in report.results if result.system.passages_per_second]
    if not timed:
        return None
    figure, axes = _axes(f"{report.collection.name}: quality and cost", "passages/s (log)", MAIN_MEASURE)
    for result in timed:
        _point_with_interval(axes, result)
    first = report.results[0]
    axes.axhline(first.main, color="grey", linestyle="--", label=f"{first.system.name}, not reranked")
    axes.set_xscale("log")

    def seconds_a_query(speed: ArrayLike) -> ArrayLike:
        return report.top_k / np.maximum(np.asarray(speed), 1e-9)

    top = axes.secondary_xaxis("top", functions=(seconds_a_query, seconds_a_query))
    top.set_xlabel(f"seconds a query of {report.top_k} passages", fontsize=9)
    for axis in (axes.xaxis, top.xaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.legend()
    return figure


def _point_with_interval(axes: Axes, result: SystemResult) -> None:
    low, high = result.interval
    errors = [[result.main - low], [high - result.main]]
    speed = result.system.passages_per_second or 0.0
    axes.errorbar([speed], [result.main], yerr=errors, fmt="o", capsize=4, label=result.system.name)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` as PNG, aside first and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    figure.savefig(unfinished, format="png", dpi=120)
    os.replace(unfinished, path)
    return path


def slug(name: str) -> str:
    """`name` as a file name."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
