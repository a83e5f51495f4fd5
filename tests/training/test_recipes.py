"""The settings files that are shipped are read as they stand."""

from pathlib import Path

import pytest

from training.arguments import parse_arguments
from training.flags import VECTORS
from training.losses import parse_loss

RECIPES = sorted((Path(__file__).parents[2] / "training").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_read(path):
    stages = parse_arguments([str(path)])
    assert len(stages) == (2 if path.stem in ("two_stages", "quickstart") else 1)
    for stage in stages:
        assert stage.data.held_out > 0 or stage.data.eval_collection
        if stage.training.loss != VECTORS:
            assert parse_loss(stage.training.loss, stage.training.temperature)
    assert len({stage.folder for stage in stages}) == len(stages)
