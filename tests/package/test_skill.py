"""SKILL.md, run as it is written after the install: from a small corpus to a student that ranks."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.command_line import ROOT
from tests.conftest import PLANETS

BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


@pytest.fixture
def programs(tmp_path):
    """PATH as an installation leaves it: `twolar` and `python`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("twolar", "-m twolar_cli"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        (folder / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "QUERIES": "24",
    }


def write_corpus(path):
    """The ten passages, and twenty made of two of them."""
    pairs = [(one, PLANETS[(place + step) % 10]) for step in (1, 2) for place, one in enumerate(PLANETS)]
    joined = [(f"{one}-{other}", f"{text} {more}") for (one, text), (other, more) in pairs]
    rows = [{"_id": docid, "title": "", "text": text} for docid, text in [*PLANETS, *joined]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.slow
def test_its_commands_lead_from_a_corpus_to_a_student_that_ranks(collection, programs):
    folder = collection.parent / "clone"
    folder.mkdir()
    (folder / "training").symlink_to(ROOT / "training")
    (folder / "questions").symlink_to(collection)
    write_corpus(folder / "corpus.jsonl")
    steps = (ROOT / "SKILL.md").read_text().split("## 2.")[1]
    blocks = BLOCK.findall(steps)
    assert [language for language, _ in blocks] == ["bash", "bash", "bash", "python"]
    for language, text in blocks:
        program = ["bash", "-euc"] if language == "bash" else ["python", "-c"]
        result = subprocess.run(
            [*program, text], cwd=folder, env=programs, capture_output=True, text=True, timeout=600
        )
        assert result.returncode == 0, result.stdout + result.stderr
    assert "student" in (folder / "runs" / "mine" / "results.md").read_text()
    assert "Mars is called the red planet." in result.stdout.splitlines()[0]
