"""The ablation table and plot, from the results of `python -m evaluation`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from evaluation.ablations.grid import Ablation, Grid, Value
from evaluation.measures import MAIN_MEASURE
from evaluation.significance import Comparison, compare, seed_interval
from evaluation.tables import Table

PerCell = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row of an ablation on a collection. `values`: (num_seeds, num_queries) nDCG@10."""

    label: tuple[str, ...]
    values: np.ndarray
    interval: tuple[float, float]

    @property
    def mean(self) -> float:
        """Over seeds and queries."""
        return float(self.values.mean())


def row_results(grid: Grid, ablation: Ablation, per_cell: PerCell) -> list[RowResult]:
    """Each row's values over all seeds.

    Args:
        per_cell: cell's key → nDCG@10 of each query, in one order.
    """
    results = []
    for row in ablation.rows:
        values = np.array([per_cell[grid.cell(row, seed).key] for seed in grid.seeds])
        label = tuple(_label(row[factor]) for factor in ablation.factors)
        results.append(RowResult(label, values, seed_interval(values, seed=0)))
    return results


def ablation_table(
    ablation: Ablation, collection: str, first_stage: float, results: Sequence[RowResult]
) -> Table:
    """One row a combination of factors, marked where it differs from the first row's.

    Args:
        first_stage: nDCG@10 of what was reranked.
    """
    marks = {found.system: found.mark for found in _compare(results)}
    rows = [
        [
            *result.label,
            f"{result.mean:.4f}{marks.get(str(position), '')}",
            "{:.4f} to {:.4f}".format(*result.interval),
            ", ".join(f"{value:.4f}" for value in result.values.mean(axis=1)),
        ]
        for position, result in enumerate(results)
    ]
    header = [*ablation.factors, MAIN_MEASURE, "95% interval", "each seed"]
    notes = (
        f"{results[0].values.shape[1]} queries; not reranked: {first_stage:.4f}. Interval: bootstrap over seeds "
        "and queries. ▲ ▼: differs from the first row (mean over seeds of each query, paired randomization "
        "test, p < 0.05 after Holm's correction over this table)."
    )
    return Table(f"{ablation.name} ({collection})", header, rows, notes)


def ablation_plot(collection: str, first_stage: float, tables: Mapping[str, Sequence[RowResult]]) -> Figure:
    """One panel an ablation, one point a row, with its 95% interval."""
    heights = [len(results) for results in tables.values()]
    figure = Figure(figsize=(7, 1.2 * len(heights) + 0.3 * sum(heights)), layout="constrained")
    panels = figure.subplots(
        len(heights),
        1,
        sharex=True,
        squeeze=False,
        gridspec_kw={"height_ratios": [height + 1 for height in heights]},
    )[:, 0]
    for panel, (name, results) in zip(panels, tables.items(), strict=True):
        means = np.array([result.mean for result in results])
        low, high = np.array([result.interval for result in results]).T
        panel.errorbar(means, range(len(results)), xerr=[means - low, high - means], fmt="o", capsize=4)
        panel.axvline(first_stage, color="grey", linestyle="--")
        panel.set_yticks(range(len(results)), [" · ".join(result.label) for result in results])
        panel.set_ylim(len(results) - 0.5, -0.5)
        panel.set_title(name, fontsize=10)
        panel.grid(axis="x", alpha=0.3)
    panels[-1].set_xlabel(f"{MAIN_MEASURE} on {collection} (dashed: not reranked)")
    return figure


def _compare(results: Sequence[RowResult]) -> list[Comparison]:
    means = {str(position): result.values.mean(axis=0).tolist() for position, result in enumerate(results)}
    return compare(means, "0", seed=0)


def _label(value: Value) -> str:
    if value is None:
        return "default"
    return "+".join(value) if isinstance(value, list) else str(value)
