"""Trains and evaluates a grid, and writes its table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from evaluation.ablations.grid import Ablation, Cell, Grid, flags, load_grid
from evaluation.ablations.learning_curve import (
    LearningCurve,
    break_even_sentence,
    learning_curve_plot,
    learning_curves,
)
from evaluation.ablations.table import (
    RowResult,
    ablation_plot,
    ablation_table,
    paired_by_query,
    row_results,
)
from evaluation.measures import MAIN_MEASURE
from evaluation.plots import save, slug
from evaluation.training_runs import run_python, train
from retrieval.errors import InputError
from retrieval.provenance import provenance
from retrieval.text_file import write_text

Results = Mapping[str, Sequence[RowResult]]


def run_grid(config: Path, folder: Path) -> None:
    """Train the cells that are not finished, evaluate all of them, write the tables and the plots.

    Args:
        folder: of cells, scores, tables and plots; a whole path, since trainings run in the checkout.

    Raises:
        InputError: for a grid that cannot be read or is another than the folder's, or a training that fails.
    """
    grid = load_grid(config)
    _refuse_changed(grid, folder)
    cells = grid.cells()
    for number, cell in enumerate(cells, start=1):
        print(f"training {number} of {len(cells)}: {' '.join(flags(cell.arguments))}", flush=True)
        train(flags(cell.arguments), _model(cell, folder), f"training of cell {cell.key}")
    print(f"evaluating {len(cells)} checkpoints", flush=True)
    evaluate(grid, cells, folder)
    print(write_tables(grid, folder))
    print(f"\nwritten to {folder}: ablations.md, ablations.json, plots/ and the cells")


def evaluate(grid: Grid, cells: list[Cell], folder: Path) -> None:
    """Run `python -m evaluation` on all checkpoints; scores it computed before are read from its cache.

    Raises:
        InputError: where it fails; it names the log.
    """
    models = [f"{cell.key}={_model(cell, folder)}" for cell in cells]
    command = ["-m", "evaluation", *flags(grid.evaluation), "--model", *models]
    run_python(
        [*command, "--output_dir", str(folder / "evaluation")], folder / "evaluation.log", "evaluation"
    )


def write_tables(grid: Grid, folder: Path) -> str:
    """Write the tables and plots of the evaluation's results, and return the tables."""
    reports = json.loads((folder / "evaluation" / "results.json").read_text(encoding="utf-8"))
    texts, records = [], []
    for report in reports:
        systems, name = report["systems"], report["collection"]
        first_stage = systems[report["first_stage"]]["means"][MAIN_MEASURE]
        per_cell = paired_by_query(systems)
        results = {part.name: row_results(grid, part, per_cell) for part in grid.ablations}
        texts += [_text(part, name, first_stage, results[part.name]) for part in grid.ablations]
        records.append({"collection": name, "first_stage": first_stage, **_record(grid, results)})
        _save_plots(grid, name, first_stage, results, folder / "plots")
    write_text(folder / "ablations.md", "\n\n".join(texts))
    origin = provenance("evaluation.ablations")
    write_text(
        folder / "ablations.json", json.dumps({**origin, "grid": asdict(grid), "results": records}, indent=2)
    )
    return "\n\n".join(texts)


def _text(ablation: Ablation, collection: str, first_stage: float, results: Sequence[RowResult]) -> str:
    table = ablation_table(ablation, collection, first_stage, results)
    if ablation.is_learning_curve:
        sentences = map(break_even_sentence, learning_curves(ablation, results))
        table = replace(table, notes="\n\n".join([*sentences, table.notes]))
    return table.markdown()


def _save_plots(grid: Grid, collection: str, first_stage: float, results: Results, folder: Path) -> None:
    """A plot of each learning curve, and one of all other ablations."""
    curves = [part for part in grid.ablations if part.is_learning_curve]
    for part in curves:
        figure = learning_curve_plot(collection, first_stage, learning_curves(part, results[part.name]))
        save(figure, folder / f"{slug(collection)}-{slug(part.name)}.png")
    others = {part.name: results[part.name] for part in grid.ablations if part not in curves}
    if others:
        save(ablation_plot(collection, first_stage, others), folder / f"{slug(collection)}.png")


def _record(grid: Grid, results: Results) -> dict[str, object]:
    curves = {
        part.name: learning_curves(part, results[part.name])
        for part in grid.ablations
        if part.is_learning_curve
    }
    return {
        "ablations": {name: [_row_record(row) for row in rows] for name, rows in results.items()},
        "break_even": {name: [_curve_record(curve) for curve in found] for name, found in curves.items()},
    }


def _row_record(row: RowResult) -> dict[str, object]:
    return {
        "row": row.label,
        MAIN_MEASURE: row.mean,
        "interval": row.interval,
        "seeds": row.values.mean(1).tolist(),
        "difference": row.comparison and row.comparison.difference,
        "p_randomization": row.comparison and row.comparison.p_randomization,
        "p_holm": row.comparison and row.comparison.p_holm,
    }


def _curve_record(curve: LearningCurve) -> dict[str, object]:
    return {
        "num_passages": curve.num_passages,
        "num_queries": curve.num_queries,
        MAIN_MEASURE: curve.means,
        "start": curve.start.mean,
        "break_even": curve.break_even,
        "sentence": break_even_sentence(curve),
    }


def _refuse_changed(grid: Grid, folder: Path) -> None:
    """Keep grid and data beside the cells: results of two configurations must not be mixed."""
    names = sorted({str(cell.arguments.get("dataset_name")) for cell in grid.cells()})
    kept = {"grid": asdict(grid), "data": {name: _parquet_files(Path(name)) for name in names}}
    path, text = folder / "grid.json", json.dumps(kept, indent=2)
    if path.is_file() and path.read_text(encoding="utf-8").rstrip("\n") != text:
        raise InputError(
            f"{folder} holds the cells of another grid or dataset; choose another --output_dir or restore it"
        )
    write_text(path, text)


def _parquet_files(dataset: Path) -> list[tuple[str, int]]:
    """Names and sizes; none for a dataset of the Hub."""
    return [(path.name, path.stat().st_size) for path in sorted(dataset.rglob("*.parquet"))]


def _model(cell: Cell, folder: Path) -> Path:
    return folder / "cells" / cell.key / "model"
