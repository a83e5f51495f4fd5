"""Small seeded models, and tokenizers that treat blanks, merges and special tokens as the real ones do."""

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from tests.conftest import PLANETS

TEXTS = [
    *(text for _, text in PLANETS),
    "Query: is it true? Document: Relevant: true false yes no\nWhat is it?\nIs it red?\nyes\nno\n",
]
PAIRS = [
    ("which planet is red?", "Mars is called the red planet."),
    ("rings\n", "  Saturn is known for its rings of ice"),
    ("moon ", ""),
    ("what?\n\n", "\nThe Moon is the only moon of the Earth.\n\n"),
    ("é 🚀", "Craters cover its surface, 88 days"),
]
SIZE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
DECODER_SIZE = {**SIZE, "num_key_value_heads": 2, "head_dim": 8}
# Scores far enough apart to tell the pairs from each other.
SPREAD = {"initializer_range": 0.3}
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
START, END, PAD = "<|begin_of_text|>", "<|im_end|>", "<|endoftext|>"


def fast(backend, **settings):
    return PreTrainedTokenizerFast(tokenizer_object=backend, **settings)


def byte_level(begins_text=False):
    """Qwen3's: blanks belong to words, `?\\n` is one token, nothing is added; Llama 3's also `begins_text`."""
    backend = Tokenizer(models.BPE())
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=[PAD, "<|im_start|>", END, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=begins_text)
    if not begins_text:
        return fast(backend, pad_token=PAD, eos_token=END)
    start = processors.TemplateProcessing(
        single=[START, "$A"], pair=[START, "$A", f"{START}:1", "$B:1"], special_tokens=[(START, 3)]
    )
    backend.post_processor = processors.Sequence([backend.post_processor, start])
    return fast(backend, bos_token=START, eos_token=END)


def metaspace():
    """Llama 2's: blanks are `▁`, the first word has one too, and a start of text is added."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    return fast(backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def word_piece():
    """BERT's."""
    words = sorted({word.strip(".,?:").lower() for text in TEXTS for word in text.split()})
    characters = sorted(
        {character for text in TEXTS for character in text.lower() if not character.isspace()}
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*special, *characters, *(f"##{character}" for character in characters)]
    pieces += [word for word in words if len(word) > 1]
    backend = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return fast(backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")


def roberta_bytes():
    """RoBERTa's byte-level one: `<s> query </s></s> passage </s>`, no segments."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS, trainer)
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return fast(
        backend,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
    )


def modern_bytes():
    """ModernBERT's: byte-level with BERT's special tokens, no segments."""
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]"})
    ids = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


CLASSIFIERS: dict[str, tuple[Any, ...]] = {
    "bert": (word_piece, BertForSequenceClassification, BertConfig, SIZE),
    "electra": (
        word_piece,
        ElectraForSequenceClassification,
        ElectraConfig,
        {**SIZE, "embedding_size": 32},
    ),
    "distilbert": (
        word_piece,
        DistilBertForSequenceClassification,
        DistilBertConfig,
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    ),
    "deberta-v2": (
        word_piece,
        DebertaV2ForSequenceClassification,
        DebertaV2Config,
        {**SIZE, "type_vocab_size": 0, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "roberta": (
        roberta_bytes,
        RobertaForSequenceClassification,
        RobertaConfig,
        {**SIZE, "pad_token_id": 1, "type_vocab_size": 1, "max_position_embeddings": 130},
    ),
    "xlm-roberta": (
        roberta_bytes,
        XLMRobertaForSequenceClassification,
        XLMRobertaConfig,
        {**SIZE, "pad_token_id": 1, "type_vocab_size": 1},
    ),
    "modernbert": (
        modern_bytes,
        ModernBertForSequenceClassification,
        ModernBertConfig,
        {**SIZE, "pad_token_id": 0, "local_attention": 8},
    ),
    "qwen3": (
        byte_level,
        Qwen3ForSequenceClassification,
        Qwen3Config,
        {**DECODER_SIZE, "pad_token_id": 0},
    ),
    "llama": (
        lambda: byte_level(begins_text=True),
        LlamaForSequenceClassification,
        LlamaConfig,
        DECODER_SIZE,
    ),
}
LANGUAGE_MODELS: dict[str, tuple[Any, ...]] = {
    "qwen3": (byte_level, Qwen3ForCausalLM, Qwen3Config, DECODER_SIZE),
    "llama3": (lambda: byte_level(begins_text=True), LlamaForCausalLM, LlamaConfig, DECODER_SIZE),
    "llama2": (metaspace, LlamaForCausalLM, LlamaConfig, DECODER_SIZE),
}


def save_model(folder, tokenizer, kind, config_kind, **settings):
    """Save a seeded model of this kind, with a tokenizer that knows no greatest length; gives the folder."""
    torch.manual_seed(0)
    model = kind(config_kind(vocab_size=len(tokenizer), **SPREAD, **settings))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_classifier(folder, name, num_labels=1):
    make_tokenizer, kind, config_kind, size = CLASSIFIERS[name]
    return save_model(folder, make_tokenizer(), kind, config_kind, **size, num_labels=num_labels)


def save_language_model(folder, name, **settings):
    make_tokenizer, kind, config_kind, size = LANGUAGE_MODELS[name]
    return save_model(folder, make_tokenizer(), kind, config_kind, **{**size, **settings})
