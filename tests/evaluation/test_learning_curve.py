"""The learning curve among the ablations: its start, its plot and where it breaks even."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.ablations.grid import load_grid
from evaluation.ablations.learning_curve import break_even, learning_curve_plot, learning_curves
from evaluation.ablations.run import write_tables
from evaluation.ablations.table import paired_by_query, row_results
from tests.evaluation.conftest import small_training

ROOT = Path(__file__).parents[2]
CURVE = {"curve": {"max_train_samples": [40, 0, 10], "num_passages": [5, 10]}}
# nDCG@10 less the start's, by (passages, queries): the first curve crosses twice, the second stays below.
GAINS = {(5, 10): 0.02, (5, 20): -0.01, (5, 40): 0.01, (10, 10): -0.1, (10, 20): -0.05, (10, 40): -0.02}


def test_a_learning_curve_trains_its_start_once(grid_file):
    grid = load_grid(grid_file(seeds=(7, 8), ablations=CURVE))
    assert grid.ablations[0].is_learning_curve
    assert grid.ablations[0].rows == [
        {"max_train_samples": 0},
        {"max_train_samples": 10, "num_passages": 5},
        {"max_train_samples": 40, "num_passages": 5},
        {"max_train_samples": 10, "num_passages": 10},
        {"max_train_samples": 40, "num_passages": 10},
    ]
    arguments = [dict(cell.arguments) for cell in grid.cells()]
    common = {"model_name_or_path": "m", "dataset_name": "d"}
    assert len(arguments) == 1 + 4 * 2
    assert [found for found in arguments if found["max_train_samples"] == 0] == [
        {**common, "max_train_samples": 0, "seed": 7}
    ]


def test_two_learning_curves_share_their_start(grid_file):
    ablations = {**CURVE, "plain": {"max_train_samples": [0, 10]}}
    grid = load_grid(grid_file(seeds=(1, 2), ablations=ablations))
    assert [part.is_learning_curve for part in grid.ablations] == [True, True]
    assert len(grid.cells()) == 1 + 4 * 2 + 2


@pytest.mark.parametrize(
    "factors",
    [
        {"max_train_samples": [0, 10], "loss": ["ranknet", "listnet"]},
        {"max_train_samples": [60], "num_passages": [5, 10]},
        {"max_train_samples": [0]},
        {"num_passages": [5, 10]},
    ],
)
def test_other_factors_or_a_single_number_are_no_learning_curve(grid_file, factors):
    assert not load_grid(grid_file(ablations={"other": factors})).ablations[0].is_learning_curve


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ((0.2, 0.4, 0.5), 31.6228),  # halfway between 10 and 100 in log(queries)
        ((0.2, 0.25, 0.4), 215.443),  # a third of the way from 100 to 1,000
        ((0.4, 0.2, 0.4), 316.228),  # the last crossing, not the dip from above
        ((0.2, 0.3, 0.4), 100.0),  # equal to the start is at it
        ((0.4, 0.5, 0.2), None),
        ((0.1, 0.2, 0.29), None),
        ((0.3, 0.4, 0.35), 10.0),  # nowhere below
        ((0.3 - 1e-16, 0.4, 0.35), 10.0),  # rounding is not below
    ],
)
def test_the_break_even_is_the_last_crossing_of_the_start(means, expected):
    found = break_even((10, 100, 1000), means, start=0.3)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-5))


@pytest.fixture
def curve_grid(grid_file):
    numbers = {"curve": {"max_train_samples": [0, 10, 20, 40], "num_passages": [5, 10]}}
    return load_grid(grid_file(seeds=(1, 2), ablations=numbers))


@pytest.fixture
def systems(curve_grid):
    """Per-query results as an evaluation writes them: the start's mean 0.5, the students' as GAINS says."""
    base = np.linspace(0.2, 0.8, 40)
    found = {"bm25": base - 0.2}
    for row in curve_grid.ablations[0].rows:
        gain = GAINS.get((row.get("num_passages"), row["max_train_samples"]), 0.0)
        cells = curve_grid.row_cells(row)
        for cell, of_seed in zip(cells, (-0.01, 0.01) if len(cells) > 1 else (0.0,), strict=True):
            found[cell.key] = base + gain + of_seed
    return {
        name: {
            "means": {"nDCG@10": values.mean()},
            "per_query": {"nDCG@10": {f"q{number}": value for number, value in enumerate(values)}},
        }
        for name, values in found.items()
    }


def test_the_report_of_a_learning_curve_names_differences_and_break_evens(curve_grid, systems, tmp_path):
    report = {"collection": "c", "first_stage": "bm25", "systems": systems}
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "results.json").write_text(json.dumps([report]))
    lines = write_tables(curve_grid, tmp_path).splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line[:1] == "|"]
    assert cells[2][:3] == ["0", "any", "0.5000"] and cells[2][-1] == "0.5000"
    assert cells[3][:3] == ["10", "5", "0.5200 ▲"]
    assert cells[3][4:] == ["+0.0200", "0.0006", "0.5100, 0.5300"]
    assert cells[6][:3] == ["10", "10", "0.4000 ▼"]
    assert "Break-even with 5 passages a query: about 28 queries (start 0.5000)." in lines
    assert "Break-even with 10 passages a query: not reached within 40 queries (start 0.5000)." in lines
    result = json.loads((tmp_path / "ablations.json").read_text())["results"][0]
    assert [row["difference"] for row in result["ablations"]["curve"][:3]] == [
        None,
        pytest.approx(0.02),
        pytest.approx(-0.01),
    ]
    assert result["break_even"]["curve"][0]["break_even"] == pytest.approx(28.2843, rel=1e-5)  # of 20 and 40
    assert result["break_even"]["curve"][1]["break_even"] is None
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["c-curve.png"]


def test_a_curve_that_is_nowhere_below_breaks_even_from_its_smallest_number(grid_file, tmp_path):
    grid = load_grid(grid_file(ablations={"curve": {"max_train_samples": [0, 1200, 5000]}}))
    means = dict(zip((cell.key for cell in grid.cells()), (0.3, 0.3, 0.4), strict=True))
    systems = {
        name: {"means": {"nDCG@10": mean}, "per_query": {"nDCG@10": {"q": mean}}}
        for name, mean in {"bm25": 0.2, **means}.items()
    }
    (tmp_path / "evaluation").mkdir()
    report = {"collection": "c", "first_stage": "bm25", "systems": systems}
    (tmp_path / "evaluation" / "results.json").write_text(json.dumps([report]))
    lines = write_tables(grid, tmp_path).splitlines()
    assert "Break-even: from the smallest number, 1,200, on (start 0.3000)." in lines


def test_the_plot_draws_each_curve_its_intervals_and_the_break_even(curve_grid, systems):
    part = curve_grid.ablations[0]
    results = row_results(curve_grid, part, paired_by_query(systems))
    axes = learning_curve_plot("c", 0.3, learning_curves(part, results)).axes[0]
    assert axes.get_xscale() == "log"
    curves = [bars.lines[0].get_xydata() for bars in axes.containers]
    assert np.allclose(curves[0], [(10, 0.52), (20, 0.49), (40, 0.51)])
    assert np.allclose(curves[1], [(10, 0.4), (20, 0.45), (40, 0.48)])
    bar = axes.containers[1].lines[2][0].get_segments()[0]  # 10 passages, 10 queries
    assert np.allclose(bar, [(10, results[4].interval[0]), (10, results[4].interval[1])])
    stars = [line.get_xydata()[0] for line in axes.lines if line.get_marker() == "*"]
    assert np.allclose(stars, [(28.2843, 0.5)])
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [(line.get_color(), round(float(line.get_ydata()[0]), 6)) for line in dashed] == [
        ("black", 0.5),
        ("grey", 0.3),
    ]
    assert np.allclose(axes.patches[0].get_bbox().intervaly, results[0].interval)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "20", "40"]
    low, high = axes.get_xlim()
    assert 5 < low < 10 and 40 < high < 80  # nothing but the data stretches the axis


def test_a_learning_curve_without_its_start_ends_in_one_line(grid_file, evaluation, tmp_path):
    path = grid_file(ablations={"curve": {"max_train_samples": [60, 120], "num_passages": [5]}})
    result = evaluation("--config", path, "--output_dir", tmp_path / "out", module="evaluation.ablations")
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"error: grid {path}: ablation 'curve': a learning curve needs 0 (the start) among max_train_samples"
    ]


def test_the_shipped_learning_curve_trains_its_start_once_and_tunes_on_dev():
    grid = load_grid(ROOT / "evaluation" / "ablations" / "learning_curve.yaml")
    assert [part.is_learning_curve for part in grid.ablations] == [True]
    assert len(grid.cells()) == 1 + 2 * 2
    assert grid.evaluation["split"] == "dev"


@pytest.mark.slow
def test_a_learning_curve_starts_at_the_untrained_reranker(
    grid_file, rankings, tiny_t5, collection, evaluation, tmp_path
):
    train = small_training(tiny_t5(False, "gated-gelu"), rankings, accumulation=1)
    path = grid_file(
        train,
        ablations={"curve": {"max_train_samples": [0, 2], "num_passages": [2, 3]}},
        collection=[str(collection)],
        top_k=5,
    )
    out = tmp_path / "out"
    result = evaluation("--config", path, "--output_dir", out, module="evaluation.ablations")
    assert result.returncode == 0, result.stderr
    assert len(list((out / "cells").iterdir())) == 3
    untrained = evaluation(
        "--collection",
        collection,
        "--top_k",
        5,
        "--model",
        f"start={train['model_name_or_path']}",
        "--output_dir",
        tmp_path / "start",
    )
    assert untrained.returncode == 0, untrained.stderr
    systems = json.loads((tmp_path / "start" / "results.json").read_text())[0]["systems"]
    found = json.loads((out / "ablations.json").read_text())["results"][0]
    assert found["ablations"]["curve"][0]["seeds"] == [systems["start"]["means"]["nDCG@10"]]
    assert [curve["num_passages"] for curve in found["break_even"]["curve"]] == ["2", "3"]
    assert len(list((out / "plots").glob("*.png"))) == 1
