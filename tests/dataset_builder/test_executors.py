"""Where the stages run changes nothing: a real Ray on this machine, and a stand-in for Slurm's commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from datatrove.executor import LocalPipelineExecutor

from dataset_builder.build.artifacts import Artifacts, BuildParts, Recipe
from dataset_builder.build.execution import SLURM, Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import load_profile
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.executors import LocalExecutor
from dataset_builder.pipeline.recipes import PASSAGES
from dataset_builder.pipeline.resources import LIGHT, Resources, labelling
from dataset_builder.pipeline.run import build
from dataset_builder.pipeline.stages import StorePassages
from retrieval.device import LOCAL_RANK_VARIABLE
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
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
        command(
            os.path.relpath(corpus, ROOT), os.path.relpath(tmp_path / "out", ROOT), "--executor", "ray",
            "--tasks", "3", "--workers", "2", "--num_shards", "3", "--cpus", "1", "--memory", "2",
        )
    )  # fmt: skip
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
    flags = (
        "--executor",
        "slurm",
        "--partition",
        "cpu",
        "--tasks",
        "3",
        "--workers",
        "2",
        "--num_shards",
        "3",
    )
    result = subprocess.run(
        command(os.path.relpath(corpus, ROOT), os.path.relpath(tmp_path / "out", ROOT), *flags),
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    assert "submitted; python -m dataset_builder status" in result.stdout
    assert published(tmp_path / "out") == published(expected), (tmp_path / "slurm.log").read_text()[-2000:]


SBATCH = """#!/usr/bin/env bash
# Keeps what is submitted, and runs nothing.
number=$(ls "$SUBMITTED" | wc -l)
{ echo "$*"; cat "${!#}"; } > "$SUBMITTED/$number"
echo "Submitted batch job $((100 + number))"
"""


@pytest.fixture
def submitted(planets, tmp_path, monkeypatch):
    """Submits a build to Slurm; returns what each stage asked for, in its script or beside it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("SUBMITTED", str(tmp_path / "submitted"))
    (tmp_path / "submitted").mkdir()

    def submit(**execution):
        settings = load_profile(
            "offline",
            {"corpus": str(planets), "query_types": ["cropped"], "num_queries": 80, "output_dir": str(tmp_path / "out"),
             "teacher": "openai:x"},
        )  # fmt: skip
        access = TeacherAccess(base_url="http://127.0.0.1:9/v1")
        on_slurm = Execution(SLURM, partition="cpu", artifacts=str(tmp_path / "artifacts"), **execution)
        build(BuildFolder(tmp_path / "out"), settings, access, on_slurm)
        scripts = sorted((tmp_path / "submitted").iterdir(), key=lambda path: int(path.name))
        # Each stage is followed by a job that merges its statistics.
        return [
            dict(re.findall(r"--([\w-]+)=(\S+)", script.read_text())) | {"id": str(100 + int(script.name))}
            for script in scripts[::2]
        ]

    return submit


def test_each_stage_asks_slurm_for_what_it_needs_and_waits_for_the_one_before(submitted):
    jobs = submitted(tasks=9, workers=2, memory=40, cpus=3, gpus=1, time_limit="48:00:00")
    asked = [
        (job["job-name"], job["cpus-per-task"], job["mem-per-cpu"], job.get("gpus"), job["array"])
        for job in jobs
    ]
    # A server is asked for the labels: no GPU. 80 queries have two shards, of which no task takes a part.
    assert asked == [
        ("twolar-passages", "1", "2G", None, "0-0%1"),
        ("twolar-encoding", "3", "14G", "1", "0-8%2"),
        ("twolar-indexes", "3", "14G", None, "0-0%1"),
        ("twolar-queries", "1", "2G", None, "0-0%1"),
        ("twolar-pools", "3", "14G", "1", "0-1%2"),
        ("twolar-rankings", "1", "2G", None, "0-1%2"),
        ("twolar-dataset", "1", "2G", None, "0-0%1"),
    ]
    assert {(job["time"], job["partition"]) for job in jobs} == {("48:00:00", "cpu")}
    waits = [job.get("dependency") for job in jobs]
    assert waits == [None, *(f"afterok:{job['id']}" for job in jobs[:-1])]


def test_a_task_on_this_machine_knows_which_worker_it_runs_in(monkeypatch):
    monkeypatch.setenv(LOCAL_RANK_VARIABLE, "")
    monkeypatch.setattr(
        LocalPipelineExecutor, "_run_for_rank", lambda *arguments: os.environ[LOCAL_RANK_VARIABLE]
    )
    assert LocalExecutor([], tasks=9, workers=4)._run_for_rank(7, 3) == "3"


def test_a_task_that_begins_in_another_folder_finds_the_files(planets, tmp_path, monkeypatch):
    monkeypatch.chdir(planets.parent)
    settings = load_profile("offline", {"corpus": planets.name, "output_dir": "out"})
    parts = BuildParts(Artifacts(Path("artifacts")), {PASSAGES: Recipe(PASSAGES, {})})
    stage = StorePassages(BuildFolder(Path("out")), settings, TeacherAccess(), parts)
    monkeypatch.chdir("/")
    stage.run()
    assert len(PassageStore(planets.parent / "out" / "build" / "passages.sqlite")) == len(PLANETS)
    assert Path.cwd() == Path("/")


@pytest.mark.parametrize(
    ("teacher", "base_url", "expected"),
    [
        ("batch:gpt-4o-mini", "", LIGHT),
        ("openai:SmolLM2-135M-Instruct", "embedded", Resources(16, 4, 0)),
        ("reranker:all-MiniLM-L6-v2", "", Resources(16, 4, 2)),
        ("local:x", "", Resources(16, 4, 2)),
        ("rank-fusion", "", Resources(16, 4, 2)),
    ],
)
def test_a_teacher_that_runs_here_needs_a_machine_and_one_behind_a_server_none(teacher, base_url, expected):
    settings = load_profile("offline", {"teacher": teacher})
    assert labelling(settings, TeacherAccess(base_url=base_url), Execution(gpus=2)) == expected


@pytest.mark.parametrize(
    ("execution", "message"),
    [
        (Execution(SLURM, partition="cpu"), "--executor slurm needs sbatch"),
        (Execution(tasks=0), "--tasks and --workers must be at least 1"),
        (Execution(memory=0), "--memory and --cpus must be at least 1"),
    ],
)
def test_an_executor_that_cannot_work_is_refused_before_the_build(planets, tmp_path, execution, message):
    changes = {"corpus": str(planets), "output_dir": str(tmp_path / "out"), "teacher": "rank-fusion"}
    settings = load_profile("offline", changes)
    with pytest.raises(InputError, match=message):
        build(BuildFolder(tmp_path / "out"), settings, TeacherAccess(), execution)
    assert not (tmp_path / "out").exists()
