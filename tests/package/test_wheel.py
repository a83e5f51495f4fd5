"""The wheel: it holds every file of the rooms, and alone, in a clean environment, it scores a pair."""

import json
import subprocess
import sys
import venv
import zipfile

import pytest

from modeling_twolar import load_reranker
from retrieval.model_files import model_path
from tests.command_line import ROOT

PAIR = ("which planet is red", "Mars is called the red planet.")
SCORE = f"""
import json, sys
from modeling_twolar import load_reranker
print(json.dumps(float(load_reranker(sys.argv[1]).score([{PAIR!r}])[0])))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=ROOT)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def clean(wheel, tmp_path_factory):
    """The programs of an environment that holds the wheel and what it brings along."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    pip = folder / "bin" / "pip"
    run(pip, "install", "--quiet", wheel, "--constraint", ROOT / "requirements.txt", cwd=folder)
    return folder / "bin"


def run(*command, cwd):
    result = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=900
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_wheel_holds_every_file_of_the_rooms_and_no_other(wheel):
    listed = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    outside = ("tests/", "benchmarks/", "docs/", ".")
    tracked = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines()
    rooms = [name for name in tracked if not name.startswith(outside) and "/" in name]
    assert sorted(listed) == sorted([*rooms, "train_hf.py"])


@pytest.mark.slow
def test_alone_it_scores_a_pair_as_the_checkout_does(clean, tmp_path):
    model = model_path("all-MiniLM-L6-v2")
    printed = run(clean / "python", "-c", SCORE, model, cwd=tmp_path)
    here = float(load_reranker(model).score([PAIR])[0])
    assert json.loads(printed) == pytest.approx(here, abs=1e-5)


@pytest.mark.slow
def test_alone_its_doctor_finds_nothing_needed_missing_and_names_the_extras(clean, tmp_path):
    printed = run(clean / "twolar", "doctor", cwd=tmp_path)
    for extra in ("builder", "serve", "space"):
        assert f'pip install ".[{extra}]"' in printed


@pytest.mark.slow
@pytest.mark.parametrize(("command", "extra"), [("build", "builder"), ("serve", "serve"), ("demo", "space")])
def test_alone_a_command_says_which_extra_it_lacks(clean, tmp_path, command, extra):
    result = subprocess.run(
        [clean / "twolar", command], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"needs the extra [{extra}]" in result.stderr
