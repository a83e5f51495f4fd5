"""The grid of an ablation study: which trainings it needs, read from a YAML file."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from dataset_builder.errors import InputError

Value = str | int | float | bool | None | list[str]
Arguments = Mapping[str, Value]
KEYS = ("train", "seeds", "evaluation", "ablations")


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: the arguments of `train_hf.py`, the seed included."""

    arguments: Arguments

    @property
    def key(self) -> str:
        """Names the cell's folder; two ablations that need the same training share it."""
        return hashlib.sha256(json.dumps(self.arguments, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Ablation:
    """What one ablation varies. `rows`: the combinations of its factors; the others are compared with the first."""

    name: str
    factors: Sequence[str]
    rows: Sequence[Arguments]


@dataclass(frozen=True, slots=True)
class Grid:
    """`train`: arguments common to all cells. `evaluation`: arguments of `python -m evaluation`."""

    train: Arguments
    seeds: Sequence[int]
    evaluation: Arguments
    ablations: Sequence[Ablation]

    def cell(self, row: Arguments, seed: int) -> Cell:
        """The training of a row; a factor's value `~` leaves the argument to `train` or its default."""
        varied = {name: value for name, value in row.items() if value is not None}
        return Cell({**self.train, **varied, "seed": seed})

    def cells(self) -> list[Cell]:
        """All trainings, each once."""
        found = [self.cell(row, seed) for part in self.ablations for row in part.rows for seed in self.seeds]
        return list({cell.key: cell for cell in found}.values())


def load_grid(path: Path) -> Grid:
    """Read a grid from YAML.

    Raises:
        InputError: for a file that is not a grid; it names the key.
    """
    if not path.is_file():
        raise InputError(f"grid {path} does not exist")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"grid {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict) or set(settings) != set(KEYS):
        raise InputError(f"grid {path} must hold exactly {', '.join(KEYS)}")
    _require(
        all(isinstance(settings[key], dict) for key in ("train", "evaluation", "ablations")), path, "maps"
    )
    seeds = settings["seeds"]
    _require(isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds), path, "seeds")
    ablations = [_ablation(name, factors, path) for name, factors in settings["ablations"].items()]
    _require("collection" in settings["evaluation"], path, "evaluation's collection")
    return Grid(settings["train"], seeds, settings["evaluation"], ablations)


def flags(arguments: Arguments) -> list[str]:
    """Arguments as a command line: `--name value ...`."""
    found: list[str] = []
    for name, value in arguments.items():
        found += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return found


def _ablation(name: str, factors: object, path: Path) -> Ablation:
    fine = isinstance(factors, dict) and all(
        isinstance(values, list) and values for values in factors.values()
    )
    if not isinstance(factors, dict) or not fine:
        raise InputError(f"grid {path}: ablation {name!r} must map each argument to a list of values")
    rows = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    return Ablation(name, list(factors), rows)


def _require(fine: object, path: Path, what: str) -> None:
    if not fine:
        raise InputError(
            f"grid {path}: {what} missing or of the wrong kind; see evaluation/ablations/paper.yaml"
        )
