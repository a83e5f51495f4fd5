"""Figures that others published, each with its source: `reference/*.yaml` and Pyserini's own tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from evaluation.measures import MAIN_MEASURE, MEASURES
from evaluation.pyserini_tables import tabled_collections
from retrieval.errors import InputError

SHIPPED = Path(__file__).parent / "reference"


@dataclass(frozen=True, slots=True)
class Published:
    """A system's published figures. `values`: collection → value; None where no source was found.

    `top_k`: how many passages of the first stage were reranked; None for the first stage itself.
    """

    system: str
    source: str
    first_stage: str
    top_k: int | None
    measure: str
    values: Mapping[str, float | None]

    def describe(self) -> str:
        """What the figures are, and who says so."""
        what = (
            f"{self.first_stage} itself"
            if self.top_k is None
            else f"reranking {self.first_stage}'s best {self.top_k}"
        )
        return f"{self.source} ({self.measure} of {what})"

    def value(self, collection: str, first_stage: str, top_k: int, measure: str) -> float | None:
        """The figure, where it was measured so: any other compares with nothing."""
        same = (self.first_stage, self.measure) == (first_stage, measure) and self.top_k in (None, top_k)
        return self.values.get(collection) if same else None


def load_published(paths: Sequence[Path]) -> list[Published]:
    """The figures of these files; of the shipped ones where none is named.

    Raises:
        InputError: for a file that does not hold source, first_stage, top_k, measure and systems.
    """
    return [row for path in paths or sorted(SHIPPED.glob("*.yaml")) for row in _read(path)]


def published_by_pyserini(first_stages: Mapping[str, str]) -> list[Published]:
    """What Pyserini's tables report of these first stages.

    Args:
        first_stages: collection of the tables → first stage.
    """
    source = f"Pyserini {version('pyserini')}'s reproduction tables"
    rows = []
    for first_stage in dict.fromkeys(first_stages.values()):
        names = [name for name, stage in first_stages.items() if stage == first_stage]
        conditions = {name: tabled_collections()[name].condition(first_stage) for name in names}
        values = {name: found.scores.get(MAIN_MEASURE) for name, found in conditions.items() if found}
        if values:
            rows.append(
                Published(f"{first_stage}, Pyserini", source, first_stage, None, MAIN_MEASURE, values)
            )
    return rows


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
