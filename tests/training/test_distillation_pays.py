"""A training that teaches: a compact student becomes better than its start on queries that it never saw."""

import json

import pytest
from datasets import Dataset

from modeling_twolar import load_reranker
from retrieval.model_files import model_path
from tests.command_line import run_module
from tests.conftest import PLANETS

WORDS = 4


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Every four words of the planets' passages as a query, all passages scored by the whole all-MiniLM-L6-v2."""
    teacher = load_reranker(model_path("all-MiniLM-L6-v2"))
    rows = []
    for docid, text in PLANETS:
        words = text.split()
        for start in range(0, len(words) - WORDS, 2):
            query = " ".join(words[start : start + WORDS])
            scores = teacher.score([(query, passage) for _, passage in PLANETS]).tolist()
            order = sorted(range(len(PLANETS)), key=lambda index: -scores[index])
            passages = [
                {
                    "docid": PLANETS[index][0],
                    "text": PLANETS[index][1],
                    "rank": rank,
                    "teacher_score": scores[index],
                }
                for rank, index in enumerate(order, start=1)
            ]
            rows.append(
                {
                    "query_id": f"{docid}-{start}",
                    "query": query,
                    "source_docid": docid,
                    "retrieved_passages": passages,
                }
            )
    folder = tmp_path_factory.mktemp("scored")
    Dataset.from_list(rows).to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


@pytest.mark.slow
def test_half_of_minilms_layers_learn_from_all_of_them(scored, tmp_path):
    result = run_module(
        "train_hf", "--model_name_or_path", "all-MiniLM-L6-v2", "--num_layers", "3",
         "--dataset_name", scored, "--output_dir", tmp_path / "out", "--temperature", "2",
         "--loss", "kl+0.02*margin_mse",
         "--learning_rate", "2e-4", "--lr_scheduler_type", "linear", "--num_train_epochs", "3",
         "--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "1", "--max_length", "64",
         "--held_out", "0.3", "--report_to", "none", "--save_strategy", "no",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    verdict = json.loads((tmp_path / "out" / "training_run.json").read_text())["verdict"]
    assert verdict["word"] == "WIN"
    assert verdict["changes"][0]["difference"] > 0.003
    assert result.stdout.strip().splitlines()[-1].startswith("WIN: ")
