"""An interrupted training continues from its last whole checkpoint, with the settings it began with, or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path

from accelerate import PartialState
from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from retrieval.errors import InputError
from retrieval.text_file import write_text
from training.arguments import DistillationArguments, Stage
from training.held_out import LOGS, START

# Written into a checkpoint last: what the training ran with.
SETTINGS = "training_settings.json"
# What is written before the first checkpoint: TensorBoard's files and the indexes of --eval_collection; measures.
BEFORE_TRAINING = {LOGS, START}

Settings = Mapping[str, object]


class MarkWholeCheckpoints(TrainerCallback):
    """Writes the training's settings into a checkpoint once all its files are there.

    A checkpoint without them was cut off while it was saved; one with others belongs to another training.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Wait until every process has written its part, then have the first one mark the checkpoint."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            _write(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}", self.settings)


def early_stopping(arguments: DistillationArguments) -> list[TrainerCallback]:
    """The callback of `--early_stopping_patience`, where it is given."""
    patience = arguments.early_stopping_patience
    return [] if patience is None else [EarlyStoppingCallback(patience)]


def was_finished(stage: Stage, settings: Settings) -> bool:
    """Whether an earlier call trained this stage to its end.

    Raises:
        InputError: where it did so with other settings or data.
    """
    if not _is_finished(stage):
        return False
    _refuse_changed(stage.folder, settings)
    print(f"{stage.folder} is trained already", flush=True)
    return True


def mark_finished(stage: Stage, settings: Settings) -> None:
    """Leave the settings beside the student."""
    _write(stage.folder, settings)


def refuse_finished(stage: Stage) -> None:
    """Check that the output folder is free or holds an interrupted training.

    Raises:
        InputError: where a finished training, or something else, is in it.
    """
    folder = stage.folder
    if _is_finished(stage):
        raise InputError(f"{folder} holds a finished training; choose another --output_dir or delete it")
    found = {path.name for path in folder.glob("*")} - BEFORE_TRAINING
    if found and not any(name.startswith(("checkpoint-", "stage-")) for name in found):
        raise InputError(f"{folder} is not empty and holds no training; choose another --output_dir")


def checkpoint_to_resume(stage: Stage, settings: Settings) -> str | None:
    """The checkpoint of --resume_from_checkpoint, or else the last whole one in the output folder.

    Raises:
        InputError: for a checkpoint that is not whole, or was written with other settings or data.
    """
    given = stage.training.resume_from_checkpoint
    checkpoint = Path(given) if given is not None else _last_whole(stage.folder)
    if checkpoint is None:
        return None
    _refuse_changed(checkpoint, settings)
    print(f"continuing from {checkpoint}", flush=True)
    return str(checkpoint)


def _is_finished(stage: Stage) -> bool:
    return (stage.folder / "all_results.json").is_file()


def _write(folder: Path, settings: Settings) -> None:
    write_text(folder / SETTINGS, json.dumps(settings, indent=2))


def _last_whole(folder: Path) -> Path | None:
    steps = {
        int(mark.parent.name.rpartition("-")[2]): mark.parent
        for mark in folder.glob(f"checkpoint-*/{SETTINGS}")
    }
    return steps[max(steps)] if steps else None


def _refuse_changed(checkpoint: Path, settings: Settings) -> None:
    path = checkpoint / SETTINGS
    if not path.is_file():
        raise InputError(f"{checkpoint} is no whole checkpoint of train_hf.py: it has no {SETTINGS}")
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON; delete {checkpoint} to go on from the one before") from error
    for name in {**kept, **settings}:
        if kept.get(name) != settings.get(name):
            raise InputError(
                f"{checkpoint} was trained with {name} {kept.get(name)}, not {settings.get(name)}; go on with what it "
                "began with, or choose another --output_dir"
            )
