"""`twolar`: what it lists, what it refuses, and that it runs the modules with the user's own words."""

import subprocess
import sys
import time

import pytest

from tests.command_line import ROOT, run_module
from twolar_cli.commands import COMMANDS


def twolar(*words, cwd=ROOT):
    return run_module("twolar_cli", *words, cwd=cwd)


def test_the_help_lists_every_command_and_takes_no_time():
    begin = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "twolar_cli"], cwd=ROOT, capture_output=True, text=True
    )
    assert time.perf_counter() - begin < 10
    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in COMMANDS)
    assert not any(f" {package}\n" in result.stderr for package in ("torch", "transformers", "numpy"))


@pytest.mark.parametrize(
    ("word", "mend"), [("biuld", "did you mean build?"), ("xyz", "twolar --help lists them")]
)
def test_an_unknown_command_is_one_line(word, mend):
    result = twolar(word)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: there is no command {word!r}; {mend}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "demo"])
def test_every_command_is_its_module_s(name):
    command = COMMANDS[name]
    module = run_module(command.module, *command.before, "--help")
    assert module.returncode == 0
    assert twolar(name, "--help").stdout == module.stdout


def test_a_command_gets_the_users_own_words(tmp_path):
    result = twolar("status", tmp_path / "nowhere")
    assert result.returncode == 2
    assert result.stderr == run_module("dataset_builder", "status", tmp_path / "nowhere").stderr
    assert "nowhere" in result.stderr


def test_the_doctor_tells_keys_by_name_only(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    result = twolar("doctor")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "ok       OPENAI_API_KEY is set" in result.stdout
    assert "without  ANTHROPIC_API_KEY is not set: export it" in result.stdout
    assert "sk-secret" not in result.stdout


def test_the_doctor_fails_where_checkpoints_code_has_no_place(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "file" / "home"))
    result = twolar("doctor")
    assert result.returncode == 1
    assert "cannot be written: export HF_HOME=A_FOLDER_OF_YOURS" in result.stdout


def test_what_is_not_installed_is_named_with_its_extra(monkeypatch):
    # A stand-in for an environment without it.
    monkeypatch.setattr("retrieval.release.missing_packages", lambda extra: ["faiss-cpu"])
    result = twolar("train")
    assert result.returncode == 2
    assert result.stderr == (
        "error: this needs the extra [builder] (missing: faiss-cpu): "
        'pip install ".[builder]" in the checkout\n'
    )
