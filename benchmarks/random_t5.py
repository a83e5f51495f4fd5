"""Seeded random T5 models and pairs: speed does not depend on what a model has learned, so nothing is downloaded."""

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

VOCABULARY_SIZE = 32128
PROMPT_TOKENS = ("▁true", "▁false", "▁Query", "▁Document", "▁Relevant", ":")
SHAPES = {
    "tiny": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    "flan-t5-small": {"d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6},
    "flan-t5-base": {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
    "flan-t5-large": {"d_model": 1024, "d_kv": 64, "d_ff": 2816, "num_layers": 24, "num_heads": 16},
}


def save_random_t5(folder: Path, shape: str) -> None:
    """Save an untied, gated T5 of `shape` with a tokenizer that reads `random_pairs` word by word."""
    torch.manual_seed(0)
    config = T5Config(  # type: ignore[call-arg]
        vocab_size=VOCABULARY_SIZE,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        tie_word_embeddings=False,
        **SHAPES[shape],  # type: ignore[arg-type]
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)


def random_pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Queries and passages of `random_lengths`, word by word: about 100 tokens a pair with the prompt."""
    rng = random.Random(seed)
    return [(_words(rng, query), _words(rng, passage)) for query, passage in random_lengths(count, rng)]


def random_lengths(count: int, rng: random.Random) -> Iterator[tuple[int, int]]:
    """Words of a query, 3 to 9, and of its passage, about 80, spread as MS MARCO's."""
    for _ in range(count):
        yield rng.randint(3, 9), min(480, max(10, round(rng.lognormvariate(4.3, 0.4))))


def _words(rng: random.Random, count: int) -> str:
    return " ".join(f"w{rng.randrange(30000)}" for _ in range(count))


def _tokenizer() -> PreTrainedTokenizerFast:
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    words = [*PROMPT_TOKENS, *(f"▁w{index}" for index in range(30000)), "▁"]
    backend = Tokenizer(models.Unigram([*special, *((word, -5.0) for word in words)], unk_id=2))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=500
    )
