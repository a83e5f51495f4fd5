"""What a cross-validation is asked for: a field for each flag of `python -m training.cross_validation`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CrossValidationSettings:
    """`python -m training.cross_validation --help` says what each field takes."""

    config: Sequence[Path]
    dataset_name: str
    collection: Path
    split: str
    corpus: str | None
    first_stage: str
    top_k: int
    folds: int
    seed: int
    model: Sequence[str]
    run: Sequence[str]
    output_dir: Path
