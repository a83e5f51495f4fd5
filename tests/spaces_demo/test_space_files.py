"""What the Hub reads of the Space's folder agrees with what the tests ran on."""

from pathlib import Path

import yaml
from loading import CHECKPOINT, DATASET

ROOT = Path(__file__).parents[2]


def pins(path):
    return {line for line in path.read_text().splitlines() if "==" in line and not line.startswith("#")}


def test_the_space_asks_for_the_versions_that_the_tests_ran_with():
    card = (ROOT / "spaces_demo/README.md").read_text()
    metadata = yaml.safe_load(card.split("---")[1])
    space = pins(ROOT / "spaces_demo/requirements.txt") | {f"gradio=={metadata['sdk_version']}"}
    assert space <= pins(ROOT / "requirements.txt")


def test_the_card_names_the_files_and_repositories_that_the_app_uses():
    metadata = yaml.safe_load((ROOT / "spaces_demo/README.md").read_text().split("---")[1])
    assert (metadata["models"], metadata["datasets"]) == ([CHECKPOINT.default], [DATASET.default])
    assert (ROOT / "spaces_demo" / metadata["app_file"]).is_file()
