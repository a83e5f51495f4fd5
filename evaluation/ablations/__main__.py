"""Trains and evaluates a grid, and writes its table: `python -m evaluation.ablations --config GRID.yaml`."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from dataset_builder.errors import InputError, run_cli
from evaluation.ablations.grid import Cell, Grid, flags, load_grid
from evaluation.ablations.table import RowResult, ablation_plot, ablation_table, row_results
from evaluation.measures import MAIN_MEASURE
from evaluation.plots import save, slug
from evaluation.provenance import provenance
from evaluation.results_folder import write_text
from evaluation.training_runs import run_python, train


def main() -> None:
    """Train the cells that are not finished, evaluate all of them, write the table and the plot."""
    arguments = _parser().parse_args()
    grid, folder = load_grid(arguments.config), arguments.output_dir.resolve()
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
        per_cell = {key: list(found["per_query"][MAIN_MEASURE].values()) for key, found in systems.items()}
        first_stage = systems[report["first_stage"]]["means"][MAIN_MEASURE]
        results = {part.name: row_results(grid, part, per_cell) for part in grid.ablations}
        texts += [
            ablation_table(part, name, first_stage, results[part.name]).markdown() for part in grid.ablations
        ]
        records.append({"collection": name, "first_stage": first_stage, "ablations": _record(results)})
        save(ablation_plot(name, first_stage, results), folder / "plots" / f"{slug(name)}.png")
    write_text(folder / "ablations.md", "\n\n".join(texts))
    origin = provenance("evaluation.ablations")
    write_text(
        folder / "ablations.json", json.dumps({**origin, "grid": asdict(grid), "results": records}, indent=2)
    )
    return "\n\n".join(texts)


def _record(results: dict[str, list[RowResult]]) -> dict[str, object]:
    return {
        name: [
            {
                "row": row.label,
                MAIN_MEASURE: row.mean,
                "interval": row.interval,
                "seeds": row.values.mean(1).tolist(),
            }
            for row in rows
        ]
        for name, rows in results.items()
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.ablations", description=__doc__)
    parser.add_argument(
        "--config", type=Path, required=True, help="the grid, e.g. evaluation/ablations/paper.yaml"
    )
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/ablations"), help="cells, scores, table and plot"
    )
    return parser


if __name__ == "__main__":
    run_cli(main)
