"""The input of a pair, kept in the tokenizer itself: every tool that tokenizes pairs gets it right."""

from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

QUERY_PREFIX, DOCUMENT_PREFIX, SUFFIX = "Query: ", " Document: ", " Relevant: "
MAX_LENGTH = 500
SEGMENT_LENGTH = 512


def prompt_template(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerFast:
    """A tokenizer whose pairs read `Query: {query} Document: {document} Relevant: `, the authors' prompt.

    The prompt's own tokens count as special tokens, so `truncation="only_second"` shortens the document
    alone and never loses `Relevant:`, where the authors' code cuts the string's end.

    A text alone is a query with an empty passage: transformers drops an empty second text, and
    `tokenizer("q", "")` has to mean the same as a batch that holds the pair.
    """
    pieces = {
        "<query>": _ids(tokenizer, QUERY_PREFIX.rstrip()),
        "<document>": _ids(tokenizer, DOCUMENT_PREFIX.strip()),
        "<relevant>": _ids(tokenizer, SUFFIX.lstrip()),
    }
    end = [] if tokenizer.eos_token is None or _is_decoder_only(tokenizer) else [tokenizer.eos_token]
    special = [
        {"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)}
        for name, ids in pieces.items()
    ]
    special += [{"id": token, "ids": [tokenizer.eos_token_id], "tokens": [token]} for token in end]
    template = TemplateProcessing(
        single=" ".join(["<query>", "$A", "<document>", "<relevant>", *end]),
        pair=" ".join(["<query>", "$A", "<document>", "$B", "<relevant>", *end]),
        special_tokens=special,
    )
    return _with_post_processor(tokenizer, template, ["input_ids", "attention_mask"], MAX_LENGTH)


def segments_template(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerFast:
    """A BERT tokenizer whose pairs are two whole texts: `[CLS] query [SEP]`, then `[CLS] passage [SEP]`."""
    cls_token, sep_token = tokenizer.cls_token, tokenizer.sep_token
    template = TemplateProcessing(
        single=f"{cls_token}:0 $A:0 {sep_token}:0 {cls_token}:1 {sep_token}:1",
        pair=f"{cls_token}:0 $A:0 {sep_token}:0 {cls_token}:1 $B:1 {sep_token}:1",
        special_tokens=[(cls_token, tokenizer.cls_token_id), (sep_token, tokenizer.sep_token_id)],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return _with_post_processor(tokenizer, template, names, SEGMENT_LENGTH)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _is_decoder_only(tokenizer: PreTrainedTokenizerBase) -> bool:
    return tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]


def _with_post_processor(
    tokenizer: PreTrainedTokenizerBase, template: TemplateProcessing, input_names: list[str], max_length: int
) -> PreTrainedTokenizerFast:
    backend = type(tokenizer.backend_tokenizer).from_str(tokenizer.backend_tokenizer.to_str())
    backend.post_processor = template
    # T5Tokenizer would overwrite the template when it is loaded; the plain fast class keeps it.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=input_names,
        model_max_length=max_length,
        **{
            name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
        },
    )
