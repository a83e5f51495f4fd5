"""How many tokens a model's input can have."""

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .declared import Declared

# Tokenizers that declare no length have one of about 1e30.
UNLIMITED = 10**9


def declared_length(
    tokenizer: PreTrainedTokenizerBase, declared: Declared, model: PreTrainedModel
) -> int | None:
    """The most tokens that tokenizer, settings and position embeddings all allow; None where none names a number."""
    positions = getattr(model.config, "max_position_embeddings", None)
    lengths = [
        tokenizer.model_max_length,
        declared.max_seq_length,
        None if positions is None else positions - first_position(model),
    ]
    return min((length for length in lengths if length and 0 < length < UNLIMITED), default=None)


def first_position(model: nn.Module) -> int:
    """Where the position embeddings begin: RoBERTa and its kin number them from the one after their padding's."""
    for part in model.modules():
        padding, table = getattr(part, "padding_idx", None), getattr(part, "position_embeddings", None)
        if isinstance(table, nn.Embedding) and isinstance(padding, int):
            return padding + 1
    return 0


def position_limit(model: PreTrainedModel) -> int | None:
    """The most tokens that a reranker's backbone has positions for; None where it counts distances, as T5."""
    positions = getattr(model.config.backbone_config, "max_position_embeddings", None)
    return positions - first_position(model) if positions and positions > 0 else None


def own_tokens(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens a pair has beyond those of its texts."""
    return len(tokenizer([""], [""])["input_ids"][0])
