"""What this release is: its version, and the packages that each of its extras installs."""

import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

from packaging.requirements import Requirement

NAME = "twolar"
BASE = ""
# In a checkout; an installed package has its metadata instead.
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def release_version() -> str:
    """As `1.2.3`."""
    return str(_project()["version"]) if PYPROJECT.is_file() else version(NAME)


def requirements(extra: str = BASE) -> list[Requirement]:
    """What `pip install twolar[EXTRA]` adds to the base, or the base itself."""
    if PYPROJECT.is_file():
        project = _project()
        extras = project["optional-dependencies"]
        assert isinstance(extras, Mapping)
        return [Requirement(line) for line in (extras[extra] if extra else project["dependencies"])]
    found = [Requirement(line) for line in requires(NAME) or ()]
    return [one for one in found if _belongs(one, extra)]


def missing_packages(extra: str = BASE) -> list[str]:
    """Those of `requirements` that are not installed, whatever their version."""
    return [one.name for one in requirements(extra) if not _is_installed(one.name)]


def _project() -> dict:
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def _belongs(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return extra == BASE
    return extra != BASE and requirement.marker.evaluate({"extra": extra})


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
