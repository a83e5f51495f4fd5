"""The student: a TWOLAR checkpoint to train further, or a reranker started from a pretrained backbone."""

from pathlib import Path

from accelerate import PartialState
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import Trainer

from modeling_twolar import TwolarForReranking, load_reranker
from retrieval.errors import InputError
from retrieval.model_files import model_path
from training.arguments import Stage
from training.flags import ModelArguments

ADAPTER = "adapter"
# How attention layers call a probability that they keep as a number.
DROPOUTS = ("dropout", "dropout_prob", "attention_dropout")


def load_student(arguments: ModelArguments) -> TwolarForReranking:
    """The model that `arguments` name, in fp32, with its tokenizer as `model.tokenizer`.

    Raises:
        InputError: for a model that cannot be loaded, or layers, a prompt or a score strategy that do not fit it.
    """
    name, words = model_path(arguments.model_name_or_path), arguments.answer_words
    try:
        model = load_reranker(
            name,
            arguments.score_strategy,
            num_layers=arguments.num_layers,
            layers=arguments.layers,
            prompt_template=arguments.prompt_template,
            answer_words=(words[0], words[1]) if words else None,
        )
        model.require_float_weights()
        model.require_max_length(arguments.max_length)
        return model
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"model {name} cannot be used ({reason})") from error


def on_device(model: TwolarForReranking, stage: Stage) -> TwolarForReranking:
    """`model` where the stage trains."""
    nn.Module.to(model, stage.training.device)
    return model


def set_dropout(model: TwolarForReranking, probability: float | None) -> None:
    """Have `model` drop with this probability while it is trained, everywhere; None leaves it as it is."""
    if probability is None:
        return
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = probability
        for name in DROPOUTS:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, probability)


def add_adapters(model: TwolarForReranking, arguments: ModelArguments) -> PeftModel:
    """`model` with LoRA's matrices to train beside its frozen layers; what is not its backbone is trained as a whole.

    Raises:
        InputError: for layers that the model has not.
    """
    config = LoraConfig(
        r=arguments.lora_r,
        lora_alpha=arguments.lora_alpha,
        lora_dropout=arguments.lora_dropout,
        target_modules=arguments.lora_target_modules or "all-linear",
        modules_to_save=_outside_backbone(model),
    )
    try:
        return get_peft_model(model, config)  # type: ignore[arg-type,return-value]
    except ValueError as error:
        raise InputError(f"--lora_target_modules: {str(error).splitlines()[0]}") from error


def _outside_backbone(model: TwolarForReranking) -> list[str]:
    """Names of what has weights and is not the backbone; of a classifier, its own head is not."""
    backbone, body = model.backbone, model.backbone.base_model
    parts = [*model.named_children(), *(backbone.named_children() if body is not backbone else [])]
    return [
        name for name, part in parts if part not in (backbone, body) and any(True for _ in part.parameters())
    ]


def save_start(stage: Stage) -> None:
    """Write what the stage starts from into the folder of `--save_start`, if one is given."""
    if stage.training.save_start and PartialState().is_main_process:
        load_student(stage.model).save_pretrained(stage.training.save_start)


def save_student(trainer: Trainer) -> None:
    """Write the trained model into the output folder: a whole checkpoint, which needs no PEFT to be loaded.

    Adapters also go into `adapter/`, for `PeftModel.from_pretrained` on the same start.
    """
    if not isinstance(trainer.model, PeftModel):
        trainer.save_model()
    elif trainer.is_world_process_zero():
        folder = Path(str(trainer.args.output_dir))
        trainer.model.save_pretrained(str(folder / ADAPTER))
        trainer.model.merge_and_unload().save_pretrained(folder)
