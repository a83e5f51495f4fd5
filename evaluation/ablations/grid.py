"""The grid of an ablation study: which trainings it needs, read from a YAML file."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from retrieval.errors import InputError

Value = str | int | float | bool | None | list[str]
Arguments = Mapping[str, Value]
KEYS = ("train", "seeds", "evaluation", "ablations")
QUERIES, PASSAGES = "max_train_samples", "num_passages"
START: Arguments = {QUERIES: 0}


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
    """What one ablation varies. `rows`: the combinations of its factors; the others are compared with the first.

    A learning curve varies `max_train_samples` (at least two numbers of queries) and, if anything else,
    `num_passages`. Its first row is the untrained start, which has no number of passages.
    """

    name: str
    factors: Sequence[str]
    rows: Sequence[Arguments]

    @property
    def is_learning_curve(self) -> bool:
        """Whether its rows are the start and students of more and more queries."""
        return len(self.rows) > 1 and self.rows[0] == START


@dataclass(frozen=True, slots=True)
class Grid:
    """`train`: arguments common to all cells. `evaluation`: arguments of `python -m evaluation`."""

    train: Arguments
    seeds: Sequence[int]
    evaluation: Arguments
    ablations: Sequence[Ablation]

    def cell(self, row: Arguments, seed: int) -> Cell:
        """The training of a row; a factor's value `~` leaves the argument to `train` or its default.

        No seed changes the untrained start (`max_train_samples: 0`): it always gets the first.
        """
        varied = {name: value for name, value in row.items() if value is not None}
        arguments = {**self.train, **varied}
        return Cell({**arguments, "seed": self.seeds[0] if arguments.get(QUERIES) == 0 else seed})

    def row_cells(self, row: Arguments) -> list[Cell]:
        """The trainings of a row, one a seed; of the start a single one."""
        return _each_once(self.cell(row, seed) for seed in self.seeds)

    def cells(self) -> list[Cell]:
        """All trainings, each once."""
        return _each_once(
            cell for part in self.ablations for row in part.rows for cell in self.row_cells(row)
        )


def load_grid(path: Path) -> Grid:
    """Read a grid from YAML.

    Raises:
        InputError: for a file that is not a grid, or a learning curve without its start; it names the key.
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
    if len(factors.get(QUERIES, ())) > 1 and set(factors) <= {QUERIES, PASSAGES}:
        return Ablation(name, list(factors), _curve_rows(factors, f"grid {path}: ablation {name!r}"))
    rows = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    return Ablation(name, list(factors), rows)


def _curve_rows(factors: Mapping[str, Sequence[Value]], place: str) -> list[Arguments]:
    """The start, then for each number of passages the numbers of queries, ascending."""
    numbers = _numbers_of_queries(factors[QUERIES], place)
    curves: list[Arguments] = [{PASSAGES: value} for value in factors.get(PASSAGES, ())] or [{}]
    return [START, *({QUERIES: number, **curve} for curve in curves for number in numbers if number)]


def _numbers_of_queries(values: Sequence[Value], place: str) -> list[int]:
    numbers = sorted(value for value in values if type(value) is int and value >= 0)
    wrong = [value for value in values if type(value) is not int or value < 0]
    if wrong:
        raise InputError(f"{place}: {QUERIES} {wrong[0]!r} is not a whole number from 0")
    if len(set(numbers)) < len(numbers):
        raise InputError(f"{place}: {QUERIES} holds the same number twice")
    if 0 not in numbers:
        raise InputError(f"{place}: a learning curve needs 0 (the start) among {QUERIES}")
    return numbers


def _each_once(cells: Iterable[Cell]) -> list[Cell]:
    return list({cell.key: cell for cell in cells}.values())


def _require(fine: object, path: Path, what: str) -> None:
    if not fine:
        raise InputError(
            f"grid {path}: {what} missing or of the wrong kind; see evaluation/ablations/paper.yaml"
        )
