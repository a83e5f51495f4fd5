"""A tokenizer that puts query and passage into a prompt, and reads that as one string.

Byte-level vocabularies merge across the seams of prompt and text (`?\\n` is one token, ` red` carries its blank):
tokens of prompt, query and passage laid side by side would not be those that the language model knows.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from transformers import BatchEncoding, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import get_tokenizer_config
from transformers.tokenization_utils_base import TruncationStrategy
from transformers.utils import PaddingStrategy

QUERY, PASSAGE = "{query}", "{passage}"
PLACES = re.compile(r"(\{query\}|\{passage\})")

# What padding adds to each column; the id is the tokenizer's own.
PADDING = {"attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1, "offset_mapping": (0, 0)}
PASSED_ON = (
    "return_attention_mask",
    "return_token_type_ids",
    "return_special_tokens_mask",
    "split_special_tokens",
)
NOT_PADDED, NOT_CUT = PaddingStrategy.DO_NOT_PAD, TruncationStrategy.DO_NOT_TRUNCATE
NOT_FOR_PROMPTS = ("is_split_into_words", "return_overflowing_tokens", "return_length")

Texts = str | list[str] | list[list[str]]
Columns = dict[str, list[list[Any]]]


class Prompt(NamedTuple):
    """A whole prompt, and where in it the two texts stand, in characters."""

    text: str
    query: range
    passage: range


class PromptTokenizer(PreTrainedTokenizerFast):
    """A tokenizer whose pairs are whole prompts; a text alone is a query with an empty passage.

    Truncation, by whichever strategy, takes tokens from the passage's end, and from the query's once the passage is
    used up; never the prompt's own. Offsets are those in the whole prompt. With `add_special_tokens=False` texts are
    read as they are, without a prompt.

    Beyond every tokenizer's arguments it has two, which `tokenizer_config.json` keeps:
        prompt_template: a text with one `{query}` and one `{passage}`.
        has_special_tokens: the prompt holds its special tokens itself, as what a chat template writes does; otherwise
            the vocabulary's own are added, such as a beginning of text.

    Raises:
        ValueError: where the prompt's own tokens are more than `max_length`.
    """

    _auto_map = {"AutoTokenizer": [None, "prompt_tokenizer.PromptTokenizer"]}  # noqa: RUF012

    @property
    def prompt_template(self) -> str:
        """The prompt, with a place for the query and one for the passage."""
        return self.init_kwargs["prompt_template"]

    def _encode_plus(  # type: ignore[override]
        self, text: Texts, text_pair: Texts | None = None, add_special_tokens: bool = True, **options: Any
    ) -> BatchEncoding:
        if not add_special_tokens:
            return super()._encode_plus(text, text_pair, add_special_tokens=False, **options)
        prompts = [filled(self.prompt_template, *pair) for pair in as_pairs(text, text_pair)]
        columns = self._read_whole(prompts, options)
        max_length, truncation = options.get("max_length"), options.get("truncation_strategy", NOT_CUT)
        if truncation != NOT_CUT and max_length is not None:
            truncate(columns, prompts, max_length)
        if not options.get("return_offsets_mapping"):
            del columns["offset_mapping"]
        if options.get("padding_strategy", NOT_PADDED) != NOT_PADDED:
            self._fill_up(columns, options)
        tensor_type = options.get("return_tensors")
        if isinstance(text, str) and tensor_type is None:
            return BatchEncoding({name: rows[0] for name, rows in columns.items()})
        return BatchEncoding(columns, tensor_type=tensor_type)

    def _read_whole(self, prompts: list[Prompt], options: dict[str, Any]) -> Columns:
        refused = [name for name in NOT_FOR_PROMPTS if options.get(name)]
        if refused:
            raise ValueError(f"a tokenizer with a prompt does not take {' or '.join(refused)}")
        encoded = super()._encode_plus(
            [prompt.text for prompt in prompts],
            add_special_tokens=not self.init_kwargs.get("has_special_tokens"),
            return_offsets_mapping=True,
            verbose=False,  # it would warn of prompts that are still to be cut
            **{name: options[name] for name in PASSED_ON if name in options},
        )
        return dict(encoded)

    def _fill_up(self, columns: Columns, options: dict[str, Any]) -> None:
        is_fixed = options["padding_strategy"] == PaddingStrategy.MAX_LENGTH
        longest = options["max_length"] if is_fixed else max(map(len, columns["input_ids"]))
        step = options.get("pad_to_multiple_of") or 1
        width = -(-longest // step) * step
        fillings = {"input_ids": self.pad_token_id, **PADDING}
        is_left = (options.get("padding_side") or self.padding_side) == "left"
        for name, rows in columns.items():
            for index, row in enumerate(rows):
                filling = [fillings[name]] * (width - len(row))
                rows[index] = filling + row if is_left else row + filling


def filled(template: str, query: str, passage: str) -> Prompt:
    """The prompt of a pair."""
    texts, spans, whole = {QUERY: query, PASSAGE: passage}, {}, ""
    for part in PLACES.split(template):
        text = texts.get(part, part)
        spans[part] = range(len(whole), len(whole) + len(text))
        whole += text
    return Prompt(whole, spans[QUERY], spans[PASSAGE])


def as_pairs(text: Texts, text_pair: Texts | None) -> list[tuple[str, str]]:
    """(query, passage) pairs, from each form in which a tokenizer takes them."""
    if isinstance(text, str):
        return [(text, str(text_pair or ""))]
    if text_pair is not None:
        return [(str(query), str(passage)) for query, passage in zip(text, text_pair, strict=True)]
    return [(one, "") if isinstance(one, str) else (one[0], one[1]) for one in text]


def truncate(columns: Columns, prompts: Sequence[Prompt], max_length: int) -> None:
    """Drop tokens of the texts from rows of more than `max_length` tokens; `columns` hold `offset_mapping`."""
    for index, prompt in enumerate(prompts):
        offsets = columns["offset_mapping"][index]
        if len(offsets) > max_length:
            kept = kept_tokens(prompt, offsets, max_length)
            for rows in columns.values():
                rows[index] = [rows[index][token] for token in kept]


def kept_tokens(prompt: Prompt, offsets: Sequence[tuple[int, int]], max_length: int) -> list[int]:
    """Indices of the tokens that stay: the prompt's own, then as much of query and passage as there is room for.

    A token that reaches from a text into the prompt behind it is the prompt's.
    """
    texts = [
        token
        for span in (prompt.query, prompt.passage)
        for token, (_, end) in enumerate(offsets)
        if span.start < end <= span.stop
    ]
    room = max_length - (len(offsets) - len(texts))
    if room < 0:
        raise ValueError(f"max_length {max_length} is less than the prompt's own {max_length - room} tokens")
    dropped = set(texts[room:])
    return [token for token in range(len(offsets)) if token not in dropped]


def load_tokenizer(name_or_path: str, **place: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a TWOLAR checkpoint, by this code and not by that which lies beside it.

    `place`: `revision`, `subfolder` and `token`, where the weights were loaded with them.
    """
    declared = get_tokenizer_config(name_or_path, **place).get("tokenizer_class")
    kind = PromptTokenizer if declared == PromptTokenizer.__name__ else PreTrainedTokenizerFast
    return kind.from_pretrained(name_or_path, **place)
