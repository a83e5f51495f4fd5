"""Where the stages run changes nothing: a real Ray on this machine, and a stand-in for Slurm's commands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PLANETS
from tests.dataset_builder.test_build import ROOT, command, published, run

STAND_IN = Path(__file__).parent / "slurm_stand_in"


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_worker")
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"_id": d, "text": t}) + "\n" for d, t in PLANETS))
    assert run(command(corpus, folder / "out")).returncode == 0
    return corpus, folder / "out"


@pytest.mark.slow
def test_ray_gives_the_dataset_of_one_worker(one_worker, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (pip install ray)")
    corpus, expected = one_worker
    result = run(
        command(corpus, tmp_path / "out", "--executor", "ray", "--tasks", "3", "--workers", "2"),
    )
    assert result.returncode == 0, result.stderr
    assert published(tmp_path / "out") == published(expected)


@pytest.mark.slow
def test_slurm_gives_the_dataset_of_one_worker(one_worker, tmp_path):
    corpus, expected = one_worker
    bin_folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{STAND_IN}:{bin_folder}:{os.environ['PATH']}",
        "SLURM_STAND_IN_LOG": str(tmp_path / "slurm.log"),
    }
    flags = ("--executor", "slurm", "--partition", "cpu", "--tasks", "3", "--workers", "2")
    result = subprocess.run(
        command(corpus, tmp_path / "out", *flags), cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert "submitted; python -m dataset_builder status" in result.stdout
    assert published(tmp_path / "out") == published(expected), (tmp_path / "slurm.log").read_text()[-2000:]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--executor", "slurm", "--partition", "cpu"), "--executor slurm needs sbatch"),
        (("--tasks", "0"), "--tasks and --workers must be at least 1"),
    ],
)
def test_an_executor_that_cannot_work_is_refused_before_the_build(tmp_path, flags, message):
    result = run(command(tmp_path / "corpus.jsonl", tmp_path / "out", *flags))
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()
