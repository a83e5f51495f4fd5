"""The service in a process of its own, and in this one over a stand-in for a checkpoint."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from fastapi.testclient import TestClient

from serving.app import Access, build_app
from serving.checkpoints import Pair, Reranker
from serving.metrics import Metrics
from serving.scorer import Scorer
from serving.service import Limits, RerankService
from tests.spaces_demo.conftest import free_port, wait_until_up

ROOT = Path(__file__).parents[2]


class Words:
    """A stand-in for a checkpoint: a document's score is how many of its words the query has.

    `calls`: the pairs of each call. `gate`: cleared, it keeps calls waiting.
    """

    model_max_length = 512

    def __init__(self):
        self.tokenizer: Any = self
        self.calls: list[list[Pair]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, texts, add_special_tokens, verbose):
        return {"input_ids": [text.split() for text in texts]}

    def quantize(self):
        return self

    def score(self, pairs, *, show_progress_bar=None):
        self.calls.append(list(pairs))
        assert self.gate.wait(10)
        if any("fail" in passage for _, passage in pairs):
            raise ValueError("this checkpoint\nfails")
        found = [sum(word in query.split() for word in passage.split()) for query, passage in pairs]
        return torch.tensor(found, dtype=torch.float32)

    def relevance(self, scores):
        return ((scores.double() - 1) / 2).sigmoid()


class InThisProcess(TestClient):
    """A client of the service in this process. `models`: the stand-ins that it serves."""

    def __init__(self, names=("words",), limits=None, access=None):
        self.models: dict[str, Reranker] = {name: Words() for name in names}
        metrics = Metrics()
        self.scorer = Scorer(100, metrics.observe_group)
        self.service = RerankService(self.models, limits or Limits(), self.scorer)
        super().__init__(build_app(self.service, metrics, access or Access()))


@pytest.fixture
def client():
    """Starts a service in this process, and gives a client of it."""
    started = []

    def start(**settings):
        started.append(InThisProcess(**settings))
        return started[-1]

    yield start
    for found in started:
        found.scorer.end()


def serve_command(*arguments):
    return [sys.executable, "-m", "serving", "--model", *map(str, arguments)]


class Served:
    """`python -m serving` in a process of its own, up and warm, and a client of it."""

    def __init__(self, checkpoint, *arguments, port=None, cwd=ROOT):
        self.port = port or free_port()
        self.process = subprocess.Popen(
            serve_command(checkpoint, "--port", self.port, *arguments),
            cwd=cwd,
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=120)
        wait_until_up(f"http://127.0.0.1:{self.port}/health", self.process)

    def rerank(self, **request):
        return self.client.post("/rerank", json=request)

    def stop(self):
        self.client.close()
        self.process.kill()
        self.process.communicate()


def environment_of(requirements, folder):
    """A Python with what `requirements` names alone: no TWOLAR."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [
        folder / "bin/pip",
        "install",
        "--quiet",
        "--requirement",
        ROOT / "tests/serving" / requirements,
    ]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip(f"{requirements} cannot be installed from here")
    return folder / "bin/python"
