"""A folder as the quickstart leaves it, made small by the real commands, and a hub to publish it to."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PLANETS
from tests.model_cards.hub_server import serve_hub

ROOT = Path(__file__).parents[2]
DATASET, MODEL = "twolar/python-stdlib-reranker", "twolar/minilm-python-stdlib"
QUESTIONS = {"q1": ("which planet has rings of ice", "saturn"), "q2": ("the smallest planet", "mercury")}
BUILD = [
    "dataset_builder", "build", "--profile", "offline", "--corpus", "questions/corpus.jsonl", "--query_types",
    "cropped", "keywords", "--teacher", "rank-fusion", "--license", "cc0-1.0", "--num_queries", "12",
    "--num_passages", "5", "--test_fraction", "0.2", "--output_dir", DATASET,
]  # fmt: skip
TRAINING = [
    "train_hf", "--model_name_or_path", "all-MiniLM-L6-v2", "--dataset_name", DATASET, "--output_dir", MODEL,
    "--num_passages", "4", "--max_length", "64", "--gradient_accumulation_steps", "2", "--logging_steps", "1",
    "--report_to", "none",
]  # fmt: skip
EVALUATION = [
    "evaluation", "--collection", "questions", "--top_k", "5", "--output_dir", "runs/quickstart", "--model",
    f"student={MODEL}",
]  # fmt: skip
# Libraries take seconds to import: once is enough.
IN_ONE_PROCESS = """
import json, runpy, sys
for module, *arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise
"""


def run(*arguments, cwd, **environment):
    """Run Python with this checkout importable; the result, whatever the exit code."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env=settings,
    )


def publish(cwd, *flags, **environment):
    return run("-m", "model_cards.publish", *flags, cwd=cwd, **environment)


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory):
    """A small quickstart's output: dataset, trained checkpoint, evaluation, and the Space's folder."""
    folder = tmp_path_factory.mktemp("quickstart")
    (folder / "spaces_demo").symlink_to(ROOT / "spaces_demo")
    _write_collection(folder / "questions")
    result = run("-c", IN_ONE_PROCESS, json.dumps([BUILD, TRAINING, EVALUATION]), cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def hub():
    """An empty hub."""
    with serve_hub() as hub:
        yield hub


def _write_collection(folder):
    (folder / "qrels").mkdir(parents=True)
    _write_lines(
        folder / "corpus.jsonl", [{"_id": docid, "title": "", "text": text} for docid, text in PLANETS]
    )
    _write_lines(
        folder / "queries.jsonl", [{"_id": key, "text": text} for key, (text, _) in QUESTIONS.items()]
    )
    rows = "".join(f"{key}\t{docid}\t1\n" for key, (_, docid) in QUESTIONS.items())
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)


def _write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
