"""A small judged collection in BEIR's layout, and the command as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUERIES = [("q1", "which planet is red"), ("q2", "rings made of ice"), ("q3", "not judged")]


@pytest.fixture
def collection(planets):
    folder = planets.parent
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in QUERIES)
    )
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\tmars\t2\nq1\tjupiter\t1\nq2\tsaturn\t2\n"
    )
    return folder


@pytest.fixture
def evaluation():
    """Runs `python -m MODULE` with these arguments."""

    def run(*arguments, module="evaluation", **environment):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ | environment,
        )

    return run
