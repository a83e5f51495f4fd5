"""Folds: queries that are held out, and students that were trained without them."""

import hashlib
import os
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from evaluation.plots import slug
from evaluation.training_runs import train
from retrieval.errors import InputError
from retrieval.model_revision import model_revision
from training.arguments import parse_arguments
from training.data import normal


@dataclass(frozen=True, slots=True)
class Fold:
    """`query_ids`: of the queries that are held out. `dataset`: folder of the rankings of all others."""

    query_ids: Sequence[str]
    dataset: Path


def split(query_ids: Sequence[str], num_folds: int, seed: int) -> list[list[str]]:
    """The queries in `num_folds` parts of equal size, drawn with `seed`.

    Raises:
        InputError: where there are fewer queries than folds.
    """
    if num_folds > len(query_ids):
        raise InputError(f"--folds {num_folds}: there are only {len(query_ids)} queries")
    shuffled = random.Random(seed).sample(list(query_ids), len(query_ids))
    return [shuffled[start::num_folds] for start in range(num_folds)]


def write_without(rankings: Dataset, held_out: Collection[str], folder: Path) -> Path:
    """Write the rankings of all other queries, compared by their text, and return their folder, named by content.

    Raises:
        InputError: where nothing is left to train on, or the held-out queries have no ranking.
    """
    texts = {normal(query) for query in held_out}
    kept = rankings.filter(lambda query: normal(query) not in texts, input_columns="query")
    if len(kept) in (0, len(rankings)):
        raise InputError(
            "the dataset's queries are not the collection's: a fold would hold out all of them or none; "
            "make the dataset with python -m dataset_builder import-runs --queries of this collection"
        )
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / "fold.unfinished"
    kept.to_parquet(unfinished)
    digest = hashlib.sha256(unfinished.read_bytes()).hexdigest()[:16]
    path = folder / "datasets" / digest / f"train-{digest}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(unfinished, path)
    return path.parent


def train_folds(config: Path, folds: Sequence[Fold], folder: Path) -> list[Path]:
    """Train `config` without each fold's queries; what an earlier call finished is kept.

    Returns:
        The students' folders, named by the settings' text, the weights they start from and the fold's dataset.

    Raises:
        InputError: where there is no such file, or a training fails.
    """
    if not config.is_file():
        raise InputError(f"settings {config} do not exist")
    first, *_ = parse_arguments([str(config), "--dataset_name", str(folds[0].dataset)])
    start = model_revision(first.model.model_name_or_path)
    digest = hashlib.sha256(config.read_bytes() + start.encode()).hexdigest()[:12]
    models = []
    for number, fold in enumerate(folds, start=1):
        print(f"{config.stem}: fold {number} of {len(folds)}", flush=True)
        model = folder / "students" / f"{slug(config.stem)}-{digest}" / fold.dataset.name / "model"
        flags = [str(config.resolve()), "--dataset_name", str(fold.dataset)]
        train(flags, model, f"training of {config.stem}, fold {number},")
        models.append(model)
    return models
