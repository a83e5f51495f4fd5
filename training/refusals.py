"""Options of `transformers.TrainingArguments` that cannot work, found before anything is loaded.

The library finds most of them itself, but only once the start is measured, or the training has begun.
"""

from typing import Any

import httpx2
import torch
from huggingface_hub import HfApi
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Trainer, TrainingArguments, get_scheduler
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames, ParallelMode

from retrieval.errors import InputError

# Option → the only value that works here, and why.
ONLY: dict[str, tuple[object, str]] = {
    "remove_unused_columns": (False, "the collator reads the raw rows"),
    "label_smoothing_factor": (0.0, "the losses read rankings, which have no labels"),
    "batch_eval_metrics": (False, "nDCG needs the scores of whole queries"),
    "eval_do_concat_batches": (True, "nDCG needs the scores of all queries"),
    "use_liger_kernel": (False, "it has no kernels for TWOLAR"),
}
LENGTHLESS = ("group_by_length", "batch_rebalance")
HALF_PRECISION = ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval")
# Optimizers that are made for a model's own layers.
FITTED = ("galore", "apollo", "lomo", "adalomo")
EXAMPLE = '{"min_lr": 1e-6}'
METRICS = ("eval_loss", "eval_ndcg@10", "eval_collection_ndcg@10")


def refuse_impossible(training: TrainingArguments, has_collection: bool) -> None:
    """Check that these options work together, on this machine, with rankings.

    Args:
        has_collection: whether a judged collection is ranked at each evaluation.

    Raises:
        InputError: for the first that does not.
    """
    for name, (value, reason) in ONLY.items():
        if getattr(training, name) != value:
            raise InputError(f"--{name} {getattr(training, name)} cannot work: {reason}; leave it out")
    if training.train_sampling_strategy in LENGTHLESS:
        raise InputError(
            f"--train_sampling_strategy {training.train_sampling_strategy} cannot work: pools have no length"
        )
    if training.fsdp and training.parallel_mode is not ParallelMode.DISTRIBUTED:
        raise InputError("--fsdp needs several processes; start them with accelerate launch, or leave it out")
    if not 0 <= training.seed < 2**32:
        raise InputError(f"--seed {training.seed} is not from 0 to {2**32 - 1}")
    _refuse_reports(training)
    _refuse_metric(training, has_collection)
    _refuse_optimizer(training)
    _refuse_checkpointing(training)
    if training.push_to_hub:
        _refuse_hub(training)


def refuse_half_precision(training: TrainingArguments) -> None:
    """Check that half precision has a GPU, or was asked of the CPU.

    Raises:
        InputError: it names the flag.
    """
    asked = [name for name in HALF_PRECISION if getattr(training, name)]
    if asked and not training.use_cpu and not torch.accelerator.is_available():
        raise InputError(
            f"--{asked[0]} needs a GPU, and there is none; leave it out, or add --use_cpu True to have it on the CPU"
        )


def _refuse_reports(training: TrainingArguments) -> None:
    for name in training.report_to or ():
        if name not in INTEGRATION_TO_CALLBACK:
            raise InputError(
                f"--report_to {name} is not one of none, all, {', '.join(INTEGRATION_TO_CALLBACK)}"
            )
        if name not in get_available_reporting_integrations():
            raise InputError(f"--report_to {name} is not installed; install it, or give --report_to none")


def _refuse_metric(training: TrainingArguments, has_collection: bool) -> None:
    name = training.metric_for_best_model
    known = METRICS if has_collection else METRICS[:-1]
    if name is not None and f"eval_{name.removeprefix('eval_')}" not in known:
        names = ", ".join(metric.removeprefix("eval_") for metric in known)
        raise InputError(f"--metric_for_best_model {name} is not one of {names}")


def _refuse_optimizer(training: TrainingArguments) -> None:
    """Build optimizer and schedule over one weight."""
    schedule_options = _options(training, "lr_scheduler_kwargs")
    weight = nn.Parameter(torch.zeros(1, device=training.device))
    try:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(training)
        get_scheduler(
            training.lr_scheduler_type,
            kind([weight], **options),
            num_warmup_steps=0,
            num_training_steps=1,
            scheduler_specific_kwargs=schedule_options,
        )
    except (ImportError, ValueError, TypeError, RuntimeError) as error:
        if training.optim.startswith(FITTED) and not isinstance(error, ImportError):
            return
        asked = f"--optim {OptimizerNames(training.optim).value}"
        schedule = f"--lr_scheduler_type {SchedulerType(training.lr_scheduler_type).value}"
        raise InputError(f"{asked} with {schedule}: {one_line(error)}") from error


def _refuse_checkpointing(training: TrainingArguments) -> None:
    if not training.gradient_checkpointing:
        return
    options = {"use_reentrant": True, **_options(training, "gradient_checkpointing_kwargs")}
    try:
        checkpoint(nn.Identity(), torch.zeros(1, requires_grad=True), **options)
    except (ValueError, TypeError) as error:
        raise InputError(f"--gradient_checkpointing_kwargs: {one_line(error)}") from error


def _refuse_hub(training: TrainingArguments) -> None:
    try:
        HfApi(token=training.hub_token).whoami()
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise InputError(
            f"--push_to_hub needs the Hub and a key (hf auth login, or HF_TOKEN): {one_line(error)}"
        ) from error


def _options(training: TrainingArguments, name: str) -> dict[str, Any]:
    options = getattr(training, name)
    if isinstance(options, str):
        raise InputError(f"--{name} {options} is no JSON object, for instance {EXAMPLE}")
    return options or {}


def one_line(error: Exception) -> str:
    """An error's message without its line breaks."""
    return " ".join(str(error).split())
