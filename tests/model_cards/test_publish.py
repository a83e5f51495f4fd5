"""What publish shows, and what it refuses before anything goes up."""

import shutil

import pytest

from model_cards.checks import find_problems, machine_paths
from model_cards.staging import Repository, stage
from tests.model_cards.conftest import DATASET, MODEL, ROOT, publish
from tests.model_cards.test_card_checks import MODEL_CARD


@pytest.fixture
def staged(quickstart, tmp_path):
    """Stages a copy of a folder, to spoil it."""

    def make(kind):
        source = quickstart / {"dataset": DATASET, "model": MODEL, "space": "spaces_demo"}[kind]
        copy = tmp_path / "copy"
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__", "checkpoint-*", "*.bin"))
        folder = tmp_path / "staged"
        folder.mkdir()
        stage(Repository(kind, copy, "me/mine"), folder, {})
        return folder

    return make


def replace(folder, name, text):
    (folder / name).unlink()
    (folder / name).write_text(text)


def test_a_dry_run_of_all_shows_the_plan_and_finds_no_problem(quickstart):
    result = publish(quickstart, "--what", "all", "--dry_run", HF_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 0, result.stdout + result.stderr
    for line in (
        f"dataset {DATASET}, from {DATASET}",
        f"model {MODEL}, from {MODEL}",
        "space twolar/reranker, from spaces_demo",
        f"{(quickstart / MODEL / 'model.safetensors').stat().st_size:>12,}  model.safetensors",
        "  left out: checkpoint-5/, start.json, training_args.bin, training_settings.json",
    ):
        assert line in result.stdout
    assert result.stdout.splitlines()[-1] == "no problem found; nothing was uploaded (--dry_run)"
    assert "build/queries" not in result.stdout


def test_what_tools_leave_in_a_folder_does_not_go_up(tmp_path):
    for name in (
        "app.py",
        "__pycache__/app.pyc",
        ".mypy_cache/3.11/cache.db",
        ".ruff_cache/x",
        ".gradio/x",
        ".DS_Store",
    ):
        (tmp_path / "space" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "space" / name).touch()
    (tmp_path / "staged").mkdir()
    left_out = stage(Repository("space", tmp_path / "space", "me/mine"), tmp_path / "staged", {})
    assert left_out == [".DS_Store", ".gradio/", ".mypy_cache/", ".ruff_cache/", "__pycache__/"]
    assert [path.name for path in (tmp_path / "staged").iterdir()] == ["app.py"]


def test_a_problem_is_shown_and_stops_everything(quickstart, tmp_path):
    space = tmp_path / "space"
    shutil.copytree(ROOT / "spaces_demo", space, ignore=shutil.ignore_patterns("__pycache__"))
    (space / "requirements.txt").unlink()
    (space / "index.pkl").write_bytes(b"")
    result = publish(quickstart, "--what", "space", "--path", space, HF_ENDPOINT="http://127.0.0.1:9")
    assert result.returncode == 2
    assert "problem: index.pkl is a pickle" in result.stdout
    assert "problem: requirements.txt is missing" in result.stdout
    assert result.stderr == "error: 2 problem(s), listed above; nothing was uploaded\n"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "index.pkl", "deep/scores.PT", "state.pth"])
def test_a_pickle_is_refused(staged, name):
    folder = staged("space")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    assert list(find_problems("space", folder)) == [f"{name} is a pickle, which may run code when loaded"]


def test_a_dataset_card_with_empty_fields_is_refused(staged):
    folder = staged("dataset")
    text = (folder / "README.md").read_text()
    replace(
        folder,
        "README.md",
        text.replace("license: cc0-1.0\n", "").replace("| teacher | rank-fusion |", "| teacher | |"),
    )
    assert list(find_problems("dataset", folder)) == [
        "README.md: metadata 'license' is empty",
        "README.md: 'teacher' is empty",
    ]


def test_a_dataset_that_load_dataset_does_not_read_is_refused(staged):
    folder = staged("dataset")
    (path,) = (folder / "data").glob("train*.parquet")
    replace(path.parent, path.name, "not Parquet")
    (problem,) = find_problems("dataset", folder)
    assert problem.startswith("does not load in a clean process: ")


def test_a_checkpoint_that_needs_this_checkout_is_refused(staged):
    folder = staged("model")
    (folder / "README.md").write_text(MODEL_CARD)
    code = (folder / "modeling_twolar.py").read_text()
    replace(folder, "modeling_twolar.py", code + "\nimport dataset_builder\n")
    (problem,) = find_problems("model", folder)
    assert problem.startswith("does not load in a clean process: ")
    assert "dataset_builder" in problem


def test_lines_of_python_that_print_no_text_are_refused(staged):
    folder = staged("model")
    (folder / "README.md").write_text(
        MODEL_CARD.replace('print(found["score"], passages[', "print(found, [0, 1][")
    )
    assert list(find_problems("model", folder)) == [
        "README.md: its first lines of Python print no passage's text"
    ]


def test_a_checkpoints_own_code_sees_no_key(staged, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    folder = staged("model")
    (folder / "README.md").write_text(MODEL_CARD)
    code = (folder / "modeling_twolar.py").read_text()
    look = "\nraise LookupError('PATH' in os.environ, 'hf_secret' in os.environ.values())\n"
    replace(folder, "modeling_twolar.py", code + look)
    assert list(find_problems("model", folder)) == [
        "does not load in a clean process: LookupError: (True, False)"
    ]


def test_a_space_that_is_no_python_is_refused(staged):
    folder = staged("space")
    replace(folder, "app.py", "def main(:\n")
    (problem,) = find_problems("space", folder)
    assert problem.startswith("app.py line 1: ")


def test_a_path_of_this_machine_is_noted(staged):
    folder = staged("model")
    replace(folder, "config.json", '{"backbone_config": {"_name_or_path": "/home/me/models/mini"}}')
    assert list(machine_paths(folder, ["config.json"])) == [
        "config.json names a folder of a machine: /home/me/models/mini"
    ]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--what", "dataset", "--path", "nowhere"),
            "nowhere does not exist; choose the dataset's folder with --path",
        ),
        (("--what", "all", "--path", "nowhere"), "--path names one folder"),
        (("--what", "model", "--repo_id", "me/my/model"), "--repo_id 'me/my/model' is no name on the Hub"),
        (("--what", "all", "--repo_id", "me/mine"), "--what all takes an organisation as --repo_id"),
    ],
)
def test_flags_that_cannot_be_used_get_one_line(tmp_path, flags, message):
    result = publish(tmp_path, *flags)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
