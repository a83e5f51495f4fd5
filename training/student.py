"""The student: a TWOLAR checkpoint to train further, or a reranker started from a pretrained backbone."""

from transformers import AutoConfig

from dataset_builder.errors import InputError
from dataset_builder.packaged_model import model_path
from modeling_twolar import TwolarConfig, TwolarForReranking
from training.arguments import ModelArguments

AutoConfig.register(TwolarConfig.model_type, TwolarConfig)


def load_student(arguments: ModelArguments) -> TwolarForReranking:
    """The model that `arguments` name, in fp32, with its tokenizer as `model.tokenizer`.

    Raises:
        InputError: for a model that cannot be loaded, or a score strategy that does not fit it.
    """
    name = model_path(arguments.model_name_or_path)
    try:
        if AutoConfig.from_pretrained(name).model_type == TwolarConfig.model_type:
            return TwolarForReranking.from_pretrained(name)
        return TwolarForReranking.from_backbone(name, arguments.score_strategy)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"model {name} cannot be used ({reason})") from error
