"""The versions of requirements.txt, which the tests run with, and those that `pip install .` asks for are the same."""

import tomllib

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
