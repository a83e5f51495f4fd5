"""The Space served as it is: `python app.py` in a process of its own, over a small checkpoint and dataset."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from datasets import Dataset

from modeling_twolar import TwolarForReranking
from retrieval.model_files import model_path
from tests.conftest import PLANETS

SPACE = Path(__file__).parents[2] / "spaces_demo"
sys.path.insert(0, str(SPACE))  # where a Space's app.py finds the files beside it


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def second_checkpoint(tmp_path_factory):
    """The same backbone with monoT5's score strategy, which keeps the order."""
    folder = tmp_path_factory.mktemp("softmax")
    TwolarForReranking.from_backbone(model_path("all-MiniLM-L6-v2"), "softmax").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rankings(tmp_path_factory):
    """A ranking dataset whose two rankings share the planets, so that each comes twice."""
    folder = tmp_path_factory.mktemp("rankings")
    passages = [{"docid": docid, "title": "", "text": text} for docid, text in PLANETS]
    rows = {"query": ["red planet", "rings of ice"], "retrieved_passages": [passages, passages[::-1]]}
    Dataset.from_dict(rows).to_parquet(folder / "test.parquet")
    return folder


@pytest.fixture(scope="session")
def run_app(tmp_path_factory):
    """Starts `python app.py`, with an empty cache and from a folder that is not the repository."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def start(checkpoint, dataset, second_checkpoint, port=7860):
        environment = os.environ | {
            "TWOLAR_MODEL": str(checkpoint),
            "TWOLAR_SECOND_MODEL": str(second_checkpoint),
            "TWOLAR_DATASET": str(dataset),
            "GRADIO_SERVER_PORT": str(port),
            "HF_HOME": str(elsewhere / "cache"),
        }
        environment.pop("PYTHONPATH", None)
        command = [sys.executable, str(SPACE / "app.py")]
        return subprocess.Popen(
            command,
            cwd=elsewhere,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def address(run_app, checkpoint, rankings, second_checkpoint):
    """The address of the Space, up and answering."""
    port = free_port()
    process = run_app(checkpoint, rankings, second_checkpoint, port)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_until_up(url, process)
        yield url
    finally:
        process.kill()
        process.communicate()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until_up(url, process, seconds=120):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"{process.args} ended or did not come up: {process.communicate()[1]}")
            time.sleep(0.5)
