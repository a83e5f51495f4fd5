"""A grid of trainings of a small T5, and rankings to train it on."""

import pytest
import yaml
from datasets import Dataset

from tests.conftest import PLANETS

FACTORS = {
    "strategy and loss": {"score_strategy": [None, "softmax"]},
    "passages": {"num_passages": [None, 3]},
}


@pytest.fixture
def grid_file(tmp_path):
    def write(train=None, seeds=(1,), ablations=FACTORS, **evaluation):
        settings = {
            "train": train or {"model_name_or_path": "m", "dataset_name": "d"},
            "seeds": list(seeds),
            "evaluation": evaluation or {"collection": ["c"]},
            "ablations": ablations,
        }
        (tmp_path / "grid.yaml").write_text(yaml.safe_dump(settings))
        return tmp_path / "grid.yaml"

    return write


@pytest.fixture
def rankings(tmp_path):
    rows = [
        {
            "query_id": f"q{number}",
            "query": PLANETS[number][1].split(".")[0],
            "retrieved_passages": [
                {"docid": docid, "text": text, "rank": rank}
                for rank, (docid, text) in enumerate(PLANETS[number : number + 5], start=1)
            ],
        }
        for number in range(5)
    ]
    (tmp_path / "rankings").mkdir()
    Dataset.from_list(rows).to_parquet(tmp_path / "rankings" / "train-00000-of-00001.parquet")
    return tmp_path / "rankings"


def small_training(backbone, rankings, accumulation):
    return {
        "model_name_or_path": str(backbone),
        "dataset_name": str(rankings),
        "report_to": "none",
        "use_cpu": True,
        "gradient_accumulation_steps": accumulation,
    }
