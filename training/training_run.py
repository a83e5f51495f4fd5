"""What a training ran with: written beside its checkpoint, read by the model card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset

from retrieval.errors import InputError
from retrieval.provenance import provenance
from retrieval.text_file import write_text
from training.arguments import Stage
from training.settings import Value, arguments_of
from training.verdict import Verdict, read_verdict

FILE_NAME = "training_run.json"


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training's arguments, surroundings and verdict.

    `base_model`: the first stage's start; `arguments`: flag → value, of this stage, `earlier_stages` of those before
    it; `teachers`: models that ordered the passages; `machine`, `versions`, `command`,
    `commit`: as `retrieval.provenance` says.
    """

    base_model: str
    dataset: str
    teachers: list[str]
    num_train_queries: int
    num_eval_queries: int
    arguments: dict[str, Value]
    earlier_stages: list[dict[str, Value]]
    verdict: Verdict
    command: str
    commit: str | None
    uncommitted_changes: bool
    versions: dict[str, str]
    machine: str


def write_training_run(
    recipe: Sequence[Stage], stage: Stage, rankings: Dataset, held_out: Dataset | None, verdict: Verdict
) -> None:
    """Write `training_run.json` into the stage's output folder, aside and renamed."""
    earlier = recipe[: recipe.index(stage)]
    has_teachers = "teacher" in rankings.column_names
    record = {
        "base_model": recipe[0].model.model_name_or_path,
        "dataset": stage.data.dataset_name,
        "teachers": sorted(rankings.unique("teacher")) if has_teachers else [],
        "num_train_queries": len(rankings),
        "num_eval_queries": 0 if held_out is None else len(held_out),
        "arguments": arguments_of(stage),
        "earlier_stages": [arguments_of(own) for own in earlier],
        "verdict": verdict.to_json(),
        **provenance("train_hf"),
    }
    write_text(stage.folder / FILE_NAME, json.dumps(record, indent=2, ensure_ascii=False))


def read_training_run(checkpoint: Path) -> TrainingRun:
    """What `write_training_run` wrote.

    Raises:
        InputError: where it is missing, or lacks a field.
    """
    path = checkpoint / FILE_NAME
    record = read_json(path)
    fields = TrainingRun.__dataclass_fields__
    missing = [name for name in fields if name not in record]
    if missing:
        raise InputError(f"{path} lacks {missing[0]!r}; train again with python train_hf.py")
    found = {name: record[name] for name in fields}
    try:
        return TrainingRun(**{**found, "verdict": read_verdict(found["verdict"])})  # type: ignore[arg-type]
    except (TypeError, KeyError) as error:
        raise InputError(f"{path}: the verdict is damaged; train again with python train_hf.py") from error


def read_json(path: Path) -> Mapping[str, object]:
    """A JSON object that a run wrote.

    Raises:
        InputError: where it is missing or holds no JSON object.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: the card is filled from it; train with python train_hf.py")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); train again with python train_hf.py") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no JSON object; train again with python train_hf.py")
    return record
