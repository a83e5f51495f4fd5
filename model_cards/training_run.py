"""What a training ran with: written beside its checkpoint, read by the model card."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Dataset

from dataset_builder.errors import InputError
from evaluation.provenance import provenance
from training.arguments import DataArguments, DistillationArguments, ModelArguments

FILE_NAME = "training_run.json"
# What of `transformers.TrainingArguments` a reader needs to repeat a training.
HYPERPARAMETERS = (
    "loss", "learning_rate", "head_learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "optim",
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "world_size",
    "passages_per_chunk", "early_stopping_patience", "max_grad_norm", "bf16", "fp16", "gradient_checkpointing", "seed",
)  # fmt: skip
Value = str | int | float | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training's arguments and surroundings.

    `arguments`: flag → value; `teachers`: models that ordered the passages; `machine`, `versions`, `command`,
    `commit`: as `evaluation.provenance` says.
    """

    base_model: str
    dataset: str
    teachers: list[str]
    num_train_queries: int
    num_eval_queries: int
    arguments: dict[str, Value]
    command: str
    commit: str | None
    uncommitted_changes: bool
    versions: dict[str, str]
    machine: str


def write_training_run(
    model_args: ModelArguments,
    data_args: DataArguments,
    training_args: DistillationArguments,
    train_rankings: Dataset,
    eval_rankings: Dataset | None,
) -> None:
    """Write `training_run.json` into the training's output folder, aside and renamed."""
    hyperparameters = {name: getattr(training_args, name) for name in HYPERPARAMETERS}
    model = {
        name: value
        for name, value in asdict(model_args).items()
        if model_args.use_peft or not name.startswith("lora_")
    }
    arguments = {**model, **asdict(data_args), **hyperparameters}
    has_teachers = "teacher" in train_rankings.column_names
    record = {
        "base_model": model_args.model_name_or_path,
        "dataset": data_args.dataset_name,
        "teachers": sorted(train_rankings.unique("teacher")) if has_teachers else [],
        "num_train_queries": len(train_rankings),
        "num_eval_queries": 0 if eval_rankings is None else len(eval_rankings),
        "arguments": {name: _plain(value) for name, value in arguments.items()},
        **provenance("train_hf"),
    }
    path = Path(str(training_args.output_dir)) / FILE_NAME
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


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
    return TrainingRun(**{name: record[name] for name in fields})  # type: ignore[arg-type]


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


def _plain(value: object) -> Value:
    """Enumerations as their value."""
    plain = getattr(value, "value", value)
    return plain if isinstance(plain, str | int | float | bool | list) or plain is None else str(plain)
