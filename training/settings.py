"""What decides the weights that a training ends with: its arguments, its start and its data, each by value."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from datasets import Dataset

from retrieval.model_revision import model_revision
from training.arguments import Stage

# Of `transformers.TrainingArguments`: what a reader needs to repeat a training, and a resumed one must not change.
HYPERPARAMETERS = (
    "loss", "temperature", "merge_with_start", "learning_rate", "head_learning_rate", "lr_scheduler_type",
    "lr_scheduler_kwargs", "warmup_steps", "weight_decay", "optim", "adam_beta1", "adam_beta2", "adam_epsilon",
    "num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps", "world_size",
    "passages_per_chunk", "early_stopping_patience", "max_grad_norm", "bf16", "fp16", "gradient_checkpointing", "seed",
)  # fmt: skip

Value = str | int | float | bool | None | list[str] | dict[str, object]


def arguments_of(stage: Stage) -> dict[str, Value]:
    """Flag → value, as JSON holds it; LoRA's only where it is used."""
    model = {
        name: value
        for name, value in asdict(stage.model).items()
        if stage.model.use_peft or not name.startswith("lora_")
    }
    training = {name: getattr(stage.training, name) for name in HYPERPARAMETERS}
    return {name: _plain(value) for name, value in {**model, **asdict(stage.data), **training}.items()}


def settings_of(stage: Stage, rankings: Dataset, held_out: Dataset | None) -> dict[str, Value]:
    """The arguments as flags, what the start's path or name stands for, and the rankings' digests."""
    flags: dict[str, Value] = {f"--{name}": value for name, value in arguments_of(stage).items()}
    found = {
        **flags,
        "a start of revision": model_revision(stage.model.model_name_or_path),
        "rankings of digest": digest(rankings),
        "held-out rankings of digest": None if held_out is None else digest(held_out),
    }
    settings: dict[str, Value] = json.loads(json.dumps(found))
    return settings


def digest(rankings: Dataset) -> str:
    """SHA-256 of the rows, whatever files hold them."""
    found = hashlib.sha256()
    for row in rankings:
        found.update(json.dumps(row, sort_keys=True, default=str).encode())
    return found.hexdigest()


def _plain(value: object) -> Value:
    """Enumerations as their value; a path as it was given."""
    plain = getattr(value, "value", value)
    is_plain = isinstance(plain, str | int | float | bool | list | dict) or plain is None
    return plain if is_plain and not isinstance(plain, Path) else str(plain)  # type: ignore[return-value]
