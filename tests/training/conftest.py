"""A small dataset of rankings, and `train_hf.py` run on it as a user runs it."""

import pytest
from datasets import Dataset, DatasetDict

from tests.command_line import run_module
from tests.conftest import PLANETS


def row(number):
    shown = PLANETS[number % 5 : number % 5 + 5]
    passages = [
        {"docid": docid, "text": text, "rank": rank} for rank, (docid, text) in enumerate(shown, start=1)
    ]
    return {"query_id": f"q{number}", "query": shown[0][1].split(".")[0], "retrieved_passages": passages}


@pytest.fixture(scope="module")
def rankings(tmp_path_factory):
    """The columns of the authors' released dataset, and no more."""
    folder = tmp_path_factory.mktemp("rankings")
    dataset = DatasetDict(
        train=Dataset.from_list([row(n) for n in range(12)]), test=Dataset.from_list([row(3)])
    )
    for split, rows in dataset.items():
        (folder / "data").mkdir(exist_ok=True)
        rows.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def ndcg_of(model):
    """Of the one judged query: of sun, mars and moon, mars is relevant."""
    texts = dict(PLANETS)
    ranking = model.rank("red planet", [texts[docid] for docid in ("sun", "mars", "moon")])
    return (1.0, 0.6309297535714575, 0.5)[[found["corpus_id"] for found in ranking].index(1)]


def errors_of(result):
    assert result.returncode == 2, result.stderr
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def train(rankings, backbone, output, *flags):
    return run_module(
        "train_hf", "--model_name_or_path", backbone, "--dataset_name", rankings, "--output_dir", output,
        "--gradient_accumulation_steps", "2", "--learning_rate", "1e-3", "--report_to", "none", "--use_cpu", "True",
        *flags,
    )  # fmt: skip
