"""An interrupted training continues from its last whole checkpoint; a finished one is not written over."""

from pathlib import Path

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from dataset_builder.errors import InputError
from training.arguments import DistillationArguments

WHOLE = "whole"
# What is written from the start: TensorBoard's files, and the indexes of --eval_collection.
LOGS = "runs"


class MarkWholeCheckpoints(TrainerCallback):
    """Marks a checkpoint once all its files are written, so that a kill while saving is noticed."""

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Put the mark into the checkpoint that was just saved."""
        (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / WHOLE).touch()


def callbacks(arguments: DistillationArguments) -> list[TrainerCallback]:
    """What a training does beside its steps.

    Raises:
        InputError: for early stopping without evaluations to compare.
    """
    found: list[TrainerCallback] = [MarkWholeCheckpoints()]
    if arguments.early_stopping_patience is not None:
        if not arguments.load_best_model_at_end or arguments.metric_for_best_model is None:
            raise InputError(
                "--early_stopping_patience needs --load_best_model_at_end, --metric_for_best_model (for instance "
                "ndcg@10), and --eval_strategy and --save_strategy that are alike"
            )
        found.append(EarlyStoppingCallback(arguments.early_stopping_patience))
    return found


def refuse_finished(arguments: DistillationArguments) -> None:
    """Check that the output folder is free or holds an interrupted training.

    Raises:
        InputError: where a finished training, or something else, is in it.
    """
    folder = Path(str(arguments.output_dir))
    if (folder / "all_results.json").is_file():
        raise InputError(f"{folder} holds a finished training; choose another --output_dir or delete it")
    found = {path.name for path in folder.glob("*")} - {LOGS}
    if found and not any(name.startswith("checkpoint-") for name in found):
        raise InputError(f"{folder} is not empty and holds no training; choose another --output_dir")


def checkpoint_to_resume(arguments: DistillationArguments) -> str | None:
    """The checkpoint of --resume_from_checkpoint, or else the last whole one in the output folder."""
    checkpoint = arguments.resume_from_checkpoint or _last_whole(Path(str(arguments.output_dir)))
    if checkpoint is not None:
        print(f"continuing from {checkpoint}", flush=True)
    return checkpoint


def _last_whole(folder: Path) -> str | None:
    steps = {
        int(mark.parent.name.rpartition("-")[2]): mark.parent for mark in folder.glob(f"checkpoint-*/{WHOLE}")
    }
    return str(steps[max(steps)]) if steps else None
