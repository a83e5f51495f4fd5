"""The ablation table and plot, from the results of `python -m evaluation`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from evaluation.ablations.grid import Ablation, Arguments, Grid
from evaluation.measures import MAIN_MEASURE
from evaluation.significance import Comparison, compare, seed_interval
from evaluation.tables import Table

PerCell = Mapping[str, Sequence[float]]
Systems = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row of an ablation on a collection. `values`: (num_seeds, num_queries) nDCG@10.

    `comparison`: with the first row, of which it is None.
    """

    label: tuple[str, ...]
    values: np.ndarray
    interval: tuple[float, float]
    comparison: Comparison | None

    @property
    def mean(self) -> float:
        """Over seeds and queries."""
        return float(self.values.mean())


def row_results(grid: Grid, ablation: Ablation, per_cell: PerCell) -> list[RowResult]:
    """Each row's values over all seeds, compared with the first row's.

    Args:
        per_cell: cell's key → nDCG@10 of each query, in one order.
    """
    values = [np.array([per_cell[cell.key] for cell in grid.row_cells(row)]) for row in ablation.rows]
    return [
        RowResult(_labels(ablation, row), found, seed_interval(found, seed=0), comparison)
        for row, found, comparison in zip(ablation.rows, values, _comparisons(values), strict=True)
    ]


def paired_by_query(systems: Systems) -> PerCell:
    """System → nDCG@10 of each query, all in the first system's order of queries.

    Args:
        systems: as `results.json` of an evaluation has them: system → `per_query` → measure → query → value.
    """
    found = {name: system["per_query"][MAIN_MEASURE] for name, system in systems.items()}
    queries = list(next(iter(found.values())))
    return {name: [values[query] for query in queries] for name, values in found.items()}


def ablation_table(
    ablation: Ablation, collection: str, first_stage: float, results: Sequence[RowResult]
) -> Table:
    """One row a combination of factors, marked where it differs from the first row's.

    Args:
        first_stage: nDCG@10 of what was reranked.
    """
    header = [*ablation.factors, MAIN_MEASURE, "95% interval", "difference", "p", "each seed"]
    notes = (
        f"{results[0].values.shape[1]} queries; not reranked: {first_stage:.4f}. Interval: bootstrap over seeds "
        "and queries. Difference: from the first row (mean over seeds of each query); p: paired randomization "
        "test, after Holm's correction over this table; ▲ ▼: p < 0.05."
    )
    return Table(f"{ablation.name} ({collection})", header, [_cells(result) for result in results], notes)


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


def _cells(result: RowResult) -> list[str]:
    found = result.comparison
    return [
        *result.label,
        f"{result.mean:.4f}{found.mark if found else ''}",
        "{:.4f} to {:.4f}".format(*result.interval),
        f"{found.difference:+.4f}" if found else "",
        f"{found.p_holm:.4f}" if found else "",
        ", ".join(f"{value:.4f}" for value in result.values.mean(axis=1)),
    ]


def _comparisons(values: Sequence[np.ndarray]) -> list[Comparison | None]:
    means = {str(position): found.mean(axis=0).tolist() for position, found in enumerate(values)}
    return [None, *compare(means, "0", seed=0)]


def _labels(ablation: Ablation, row: Arguments) -> tuple[str, ...]:
    return tuple(_label(row, factor) for factor in ablation.factors)


def _label(row: Arguments, factor: str) -> str:
    if factor not in row:
        return "any"
    value = row[factor]
    if value is None:
        return "default"
    return "+".join(value) if isinstance(value, list) else str(value)
