"""The arguments of `train_hf.py`, from flags or a settings file, checked."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import TrainingArguments

from retrieval.errors import InputError
from training.flags import VECTORS, DataArguments, ModelArguments, OwnTrainingArguments
from training.losses import parse_loss
from training.parser import Parser
from training.refusals import refuse_half_precision, refuse_impossible
from training.settings_file import as_flags, read_settings

# A settings file's key for the trainings that follow one another; each holds what it changes.
STAGES = "stages"
# Counts that are at least 1 where they are given.
COUNTS = (
    "max_length", "lora_r", "eval_top_k", "passages_per_chunk", "early_stopping_patience",
    "gradient_accumulation_steps", "per_device_train_batch_size", "per_device_eval_batch_size",
)  # fmt: skip


@dataclass
class DistillationArguments(OwnTrainingArguments, TrainingArguments):  # type: ignore[misc]
    """`transformers.TrainingArguments` with what is ours."""

    def __post_init__(self) -> None:
        refuse_half_precision(self)
        super().__post_init__()
        # Without an accelerator torch would warn that it pins nothing.
        self.dataloader_pin_memory &= torch.accelerator.is_available()


@dataclass(frozen=True, slots=True)
class Stage:
    """One training of a recipe; most recipes have one."""

    model: ModelArguments
    data: DataArguments
    training: DistillationArguments

    @property
    def folder(self) -> Path:
        """Where its student is saved."""
        return Path(str(self.training.output_dir))


ARGUMENTS = (ModelArguments, DataArguments, DistillationArguments)


def parse_arguments(command_line: Sequence[str] | None = None) -> list[Stage]:
    """Arguments from flags, or from a YAML or JSON file whose values the flags after it override.

    A file may have `stages`, a list of trainings that follow one another: each holds what it changes, starts from
    the student of the one before, and all but the last are saved in `stage-1`, ... of the output folder. A null is the
    default; a mapping is one of `transformers.TrainingArguments`' dictionaries.

    Raises:
        InputError: for a file that cannot be read, an unknown name, a value that cannot be, or cannot work here.
    """
    flags = list(sys.argv[1:] if command_line is None else command_line)
    if not flags or not flags[0].endswith((".yaml", ".yml", ".json")):
        return [_parse(flags)]
    path = Path(flags[0])
    settings = read_settings(path)
    try:
        return _follow([own + flags[1:] for own in _flags_of_stages(settings)])
    except InputError as error:
        raise InputError(f"arguments file {path}: {error}") from error


def _flags_of_stages(settings: Mapping[str, object]) -> list[list[str]]:
    shared = {name: value for name, value in settings.items() if name != STAGES}
    changes = settings.get(STAGES)
    changes = [{}] if changes is None else changes
    if not isinstance(changes, list) or not changes or not all(isinstance(own, dict) for own in changes):
        raise InputError(f"{STAGES} must be a list of names and values")
    stages = [{**shared, **own} for own in changes]
    parser = Parser(ARGUMENTS)
    for stage in stages:
        parser.check_names(stage)
    return [as_flags(stage) for stage in stages]


def _follow(flags: Sequence[list[str]]) -> list[Stage]:
    """The stages of these flags, each from the student of the one before."""
    last = _parse(flags[-1])
    stages: list[Stage] = []
    for number, own in enumerate(flags, start=1):
        start = ["--model_name_or_path", str(stages[-1].folder)] if stages else []
        is_last = number == len(flags)
        output = [] if is_last else ["--output_dir", str(last.folder / f"stage-{number}")]
        stage = _parse(own + start + output)
        stages.append(_as_it_is(stage) if stages else stage)
    return stages


def _as_it_is(stage: Stage) -> Stage:
    """The stage without what shapes a start: that is part of the student by now."""
    model = replace(stage.model, num_layers=None, layers=None, prompt_template=None, answer_words=None)
    return replace(stage, model=model)


def _parse(flags: Sequence[str]) -> Stage:
    stage = Stage(*Parser(ARGUMENTS).parse(flags))
    _check(stage.model, stage.data, stage.training)
    _check_counts(stage)
    refuse_impossible(stage.training, has_collection=stage.data.eval_collection is not None)
    return stage


def _check(model: ModelArguments, data: DataArguments, training: DistillationArguments) -> None:
    if training.loss == VECTORS:
        _check_vectors(model, training)
    else:
        parse_loss(training.loss, training.temperature)
    if model.num_layers is not None and model.layers is not None:
        raise InputError("--num_layers and --layers both say which layers to keep; give one")
    if model.answer_words is not None and len(model.answer_words) != 2:
        raise InputError("--answer_words takes two words: not relevant, then relevant")
    if model.dropout is not None and not 0 <= model.dropout < 1:
        raise InputError(f"--dropout {model.dropout} is not a probability, from 0 to below 1")
    if not 0 <= data.held_out < 1:
        raise InputError(f"--held_out {data.held_out} is not a share of the queries, from 0 to below 1")
    if data.num_passages < 2:
        raise InputError(f"--num_passages {data.num_passages}: a ranking has at least 2 passages")
    if data.max_train_samples is not None and data.max_train_samples < 0:
        raise InputError(f"--max_train_samples {data.max_train_samples} is below 0")
    if training.early_stopping_patience is not None and not training.load_best_model_at_end:
        raise InputError(
            "--early_stopping_patience needs --load_best_model_at_end, --metric_for_best_model (for instance "
            "ndcg@10), and --eval_strategy and --save_strategy that are alike"
        )


def _check_counts(stage: Stage) -> None:
    for values in (stage.model, stage.data, stage.training):
        for name in COUNTS:
            number = getattr(values, name, None)
            if number is not None and number < 1:
                raise InputError(f"--{name} {number} is below 1")


def _check_vectors(model: ModelArguments, training: DistillationArguments) -> None:
    if model.use_peft:
        raise InputError(f"--loss {VECTORS} trains all weights; leave out --use_peft")
    if training.eval_strategy != "no":
        raise InputError(f"--loss {VECTORS} has nothing to evaluate by; leave out --eval_strategy")
