"""`python -m evaluation.ablations`: a grid of real trainings of a small T5, resumed, and refused when changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evaluation.ablations.grid import load_grid
from evaluation.ablations.table import ablation_table, paired_by_query, row_results
from retrieval.errors import InputError
from tests.evaluation.conftest import small_training

ROOT = Path(__file__).parents[2]


def test_ablations_that_need_the_same_training_share_it(grid_file):
    grid = load_grid(grid_file(seeds=(1, 2)))
    assert [part.rows for part in grid.ablations] == [
        [{"num_passages": None}, {"num_passages": 3}],
        [{"score_strategy": None}, {"score_strategy": "softmax"}],
    ]
    arguments = [dict(cell.arguments) for cell in grid.cells()]
    assert len(arguments) == 6
    common = {"model_name_or_path": "m", "dataset_name": "d"}
    assert {**common, "seed": 2} in arguments and {**common, "num_passages": 3, "seed": 1} in arguments


@pytest.mark.parametrize("name", ["paper", "quickstart"])
def test_shipped_grids_hold_the_papers_four_ablations(name):
    grid = load_grid(ROOT / "evaluation" / "ablations" / f"{name}.yaml")
    assert [part.name for part in grid.ablations] == [
        "score strategy and loss",
        "query type",
        "retrieval method",
        "number of passages",
    ]
    keys = {grid.cell(part.rows[0], seed).key for part in grid.ablations for seed in grid.seeds}
    assert len(keys) == len(grid.seeds) == 3  # the full configuration is every ablation's first row


def test_the_table_averages_seeds_and_marks_what_differs_from_the_first_row(grid_file):
    grid = load_grid(grid_file(seeds=(1, 2), ablations={"loss": {"loss": [None, "listnet"]}}))
    base = np.linspace(0.2, 0.8, 40)
    per_cell = {grid.cell({}, 1).key: base - 0.01, grid.cell({}, 2).key: base + 0.01}
    per_cell |= {grid.cell({"loss": "listnet"}, seed).key: base - 0.1 for seed in (1, 2)}
    results = row_results(grid, grid.ablations[0], per_cell)
    table = ablation_table(grid.ablations[0], "c", 0.3, results)
    assert [row[:2] for row in table.rows] == [["default", "0.5000"], ["listnet", "0.4000 ▼"]]
    assert [row[3:5] for row in table.rows] == [["", ""], ["-0.1000", "0.0001"]]
    assert [row[-1] for row in table.rows] == ["0.4900, 0.5100", "0.4000, 0.4000"]
    assert results[0].interval[0] < 0.5 < results[0].interval[1]


def test_rows_are_paired_by_query_whatever_the_order_in_the_results():
    systems = {
        "first": {"per_query": {"nDCG@10": {"q1": 0.1, "q2": 0.2, "q3": 0.3}}},
        "second": {"per_query": {"nDCG@10": {"q3": 0.6, "q1": 0.4, "q2": 0.5}}},
    }
    assert paired_by_query(systems) == {"first": [0.1, 0.2, 0.3], "second": [0.4, 0.5, 0.6]}


def curve_of(numbers):
    return {"ablations": {"curve": {"max_train_samples": numbers, "num_passages": [5]}}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ablations": {"loss": {"loss": "ranknet"}}}, "ablation 'loss' must map each argument to a list"),
        ({"seeds": ()}, "seeds missing or of the wrong kind"),
        ({"split": "test"}, "evaluation's collection missing"),
        (
            curve_of([60, 120]),
            r"ablation 'curve': a learning curve needs 0 \(the start\) among max_train_samples",
        ),
        (curve_of([0, -60]), "max_train_samples -60 is not a whole number from 0"),
        (curve_of([0, 1.5]), r"max_train_samples 1\.5 is not a whole number from 0"),
        (curve_of([0, None]), "max_train_samples None is not a whole number from 0"),
        (curve_of([0, True]), "max_train_samples True is not a whole number from 0"),
        (curve_of([0, 60, 60]), "max_train_samples holds the same number twice"),
    ],
)
def test_a_bad_grid_is_refused(grid_file, settings, message):
    with pytest.raises(InputError, match=message):
        load_grid(grid_file(**settings))


@pytest.mark.slow
def test_a_grid_is_trained_evaluated_and_resumed(
    grid_file, rankings, tiny_t5, collection, evaluation, tmp_path
):
    train = small_training(tiny_t5(False, "gated-gelu"), rankings, accumulation=2)
    out = tmp_path / "out"
    command = ("--config", grid_file(train, collection=[str(collection)], top_k=5), "--output_dir", out)
    first = evaluation(*command, module="evaluation.ablations")
    assert first.returncode == 0, first.stderr
    record = json.loads((out / "ablations.json").read_text())
    cells = sorted((out / "cells").iterdir())
    assert len(cells) == 3
    found = json.loads((out / "evaluation" / "results.json").read_text())[0]["systems"]
    rows = record["results"][0]["ablations"]["passages"]
    default = load_grid(tmp_path / "grid.yaml").cell({}, 1).key
    assert rows[0]["nDCG@10"] == pytest.approx(found[default]["means"]["nDCG@10"])
    assert len(list((out / "plots").glob("*.png"))) == 1

    shutil.rmtree(cells[0] / "model")
    (cells[0] / "model").mkdir()
    (cells[0] / "model" / "half-written").touch()
    finished = [cell / "model" / "model.safetensors" for cell in cells[1:]]
    before = [path.stat().st_mtime_ns for path in finished]
    again = evaluation(*command, module="evaluation.ablations")
    assert again.returncode == 0, again.stderr
    assert [path.stat().st_mtime_ns for path in finished] == before
    assert json.loads((out / "ablations.json").read_text())["results"] == record["results"]

    changed = (
        "--config",
        grid_file({**train, "learning_rate": 1e-3}, collection=[str(collection)]),
        *command[2:],
    )
    refused = evaluation(*changed, module="evaluation.ablations")
    assert refused.returncode == 2 and "cells of another grid or dataset" in refused.stderr


@pytest.mark.slow
def test_a_rebuilt_dataset_is_refused(grid_file, rankings, evaluation, tmp_path):
    train = {"model_name_or_path": str(tmp_path / "none"), "dataset_name": str(rankings)}
    command = ("--config", grid_file(train), "--output_dir", tmp_path / "out")
    assert "training of cell" in evaluation(*command, module="evaluation.ablations").stderr
    (rankings / "train-00000-of-00001.parquet").rename(rankings / "train-rebuilt.parquet")
    result = evaluation(*command, module="evaluation.ablations")
    assert result.returncode == 2 and "cells of another grid or dataset" in result.stderr


def test_a_failed_training_names_its_log(grid_file, evaluation, tmp_path):
    train = {"model_name_or_path": str(tmp_path / "none"), "dataset_name": str(tmp_path / "none")}
    result = evaluation(
        "--config", grid_file(train), "--output_dir", tmp_path / "out", module="evaluation.ablations"
    )
    assert result.returncode == 2
    assert "training of cell" in result.stderr and "train.log" in result.stderr
    assert not (tmp_path / "out" / "ablations.md").exists()
