"""The versions of requirements.txt, which the tests run with, and those that `pip install .` asks for are the same."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement

from tests.command_line import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_the_extras_pin_what_the_tests_run_with():
    base = [Requirement(line) for line in PROJECT["dependencies"]]
    extras = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
    pinned = {pin.name: str(pin.specifier) for pin in pins()}
    for lines in (pins(), *PROJECT["optional-dependencies"].values()):
        assert len(set(map(str, lines))) == len(lines)
    assert {one.name: str(one.specifier) for one in extras} == {
        name: version for name, version in pinned.items() if name not in {one.name for one in base}
    }
    # The base lives beside others' packages, and asks for what was tested or later.
    for one in base:
        assert f">={pinned[one.name].removeprefix('==')}" in str(one.specifier).split(",")


def test_the_space_asks_for_the_same_versions():
    pinned = {pin.name: str(pin.specifier) for pin in pins()}
    space = (ROOT / "spaces_demo" / "requirements.txt").read_text().splitlines()
    asked = [Requirement(line) for line in space if line and not line.startswith("#")]
    assert {one.name: str(one.specifier) for one in asked} == {one.name: pinned[one.name] for one in asked}


def test_what_is_cited_is_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == PROJECT["version"]
    assert f"\n## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_workflows_call_what_a_developer_calls():
    folder = ROOT / ".github" / "workflows"
    jobs = [job for path in folder.glob("*.yml") for job in yaml.safe_load(path.read_text())["jobs"].values()]
    runs = {step["run"] for job in jobs for step in job["steps"] if "run" in step}
    assert runs == {"make check", "make test", "make test-all", "make outdated"}
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {run.removeprefix("make ") for run in runs} <= set(targets)
