"""Figures that others published, each with its source: `reference/*.yaml` and Pyserini's own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from dataset_builder.errors import InputError
from evaluation.measures import MEASURES

SHIPPED = Path(__file__).parent / "reference"


@dataclass(frozen=True, slots=True)
class Published:
    """A system's published figures. `values`: collection → value; None where no source was found."""

    system: str
    source: str
    first_stage: str
    top_k: int
    measure: str
    values: Mapping[str, float | None]

    def describe(self) -> str:
        """What the figures are, and who says so."""
        return f"{self.source} ({self.measure} over {self.first_stage}'s best {self.top_k})"


def load_published(paths: Sequence[Path]) -> list[Published]:
    """The figures of these files; of the shipped ones where none is named.

    Raises:
        InputError: for a file that does not hold source, first_stage, top_k, measure and systems.
    """
    return [row for path in paths or sorted(SHIPPED.glob("*.yaml")) for row in _read(path)]


def _read(path: Path) -> list[Published]:
    if not path.is_file():
        raise InputError(f"reference {path} does not exist")
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        rows = [
            Published(
                system, table["source"], table["first_stage"], int(table["top_k"]), table["measure"], values
            )
            for system, values in table["systems"].items()
        ]
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"reference {path}: expected source, first_stage, top_k, measure and systems ({error})"
        ) from error
    wrong = next((row for row in rows if row.measure not in MEASURES or not row.source), None)
    if wrong is not None:
        raise InputError(f"reference {path}: needs a source and one of the measures {', '.join(MEASURES)}")
    return rows
