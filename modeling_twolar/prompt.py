"""The input of a pair, kept in the tokenizer itself: every tool that tokenizes pairs gets it right."""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.processors import PostProcessor, TemplateProcessing
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from .declared import Declared
from .prompt_tokenizer import PASSAGE, PLACES, QUERY, PromptTokenizer, filled

QUERY_PREFIX, DOCUMENT_PREFIX, SUFFIX = "Query: ", " Document: ", " Relevant: "
PROMPT = f"{QUERY_PREFIX}{QUERY}{DOCUMENT_PREFIX}{PASSAGE}{SUFFIX.rstrip()}"
# With the blank before them, which is part of the word in most vocabularies.
ANSWER_WORDS = (" false", " true")
MAX_LENGTH = 500

# What sentence-transformers keeps among a chat template's options, but the template does not see.
NOT_THE_TEMPLATES = {"padding", "truncation", "max_length", "return_tensors", "restore_suffix"}


def t5_prompt(tokenizer: PreTrainedTokenizerBase, max_length: int) -> PreTrainedTokenizerFast:
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
    end = [] if tokenizer.eos_token is None else [tokenizer.eos_token]
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
    return _plain(tokenizer, _backend(tokenizer, template), ["input_ids", "attention_mask"], max_length)


def two_texts(
    tokenizer: PreTrainedTokenizerBase, query_prompt: str, passage_prompt: str, max_length: int
) -> tuple[PreTrainedTokenizerFast, tuple[int, int], tuple[int, int]]:
    """A tokenizer whose pairs are two whole texts, `[CLS] query [SEP]`, then `[CLS] passage [SEP]`.

    `token_type_ids` tell them apart. The prompts are a bi-encoder's, put before each text.

    Returns:
        The tokenizer, and how many tokens stand before and after a query's own, and a passage's.

    Raises:
        ValueError: for a prompt whose tokens depend on the text behind it.
    """
    before, after = _frame(tokenizer)
    pieces = {
        "<query>": before + _prompt_ids(tokenizer, query_prompt),
        "<passage>": before + _prompt_ids(tokenizer, passage_prompt),
        "<end>": after,
    }
    head, passage_head, end = ([name] if ids else [] for name, ids in pieces.items())
    query = [f"{part}:0" for part in (*head, "$A", *end)]
    passage = [f"{part}:1" for part in (*passage_head, "$B", *end)]
    template = TemplateProcessing(
        # transformers drops an empty second text: a text alone is a query with an empty passage.
        single=query + [part for part in passage if part != "$B:1"],
        pair=query + passage,
        special_tokens=[
            {"id": name, "ids": ids, "tokens": tokenizer.convert_ids_to_tokens(ids)}
            for name, ids in pieces.items()
            if ids
        ],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    plain = _plain(tokenizer, _backend(tokenizer, template), names, max_length)
    return plain, (len(pieces["<query>"]), len(after)), (len(pieces["<passage>"]), len(after))


def _frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The tokens that a tokenizer puts before and after a text."""
    ids, own = tokenizer("a")["input_ids"], _ids(tokenizer, "a")
    start = next(index for index in range(len(ids)) if ids[index : index + len(own)] == own)
    return ids[:start], ids[start + len(own) :]


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    ids = _ids(tokenizer, prompt)
    for text in ("red planet", "Why?", "(2) a"):
        if _ids(tokenizer, prompt + text) != ids + _ids(tokenizer, text):
            raise ValueError(
                f"the prompt {prompt!r} joins with the text behind it; a start cannot keep it apart"
            )
    return ids


def own_pairs(tokenizer: PreTrainedTokenizerBase, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer as it is, in a class that keeps it so: others build it anew from its vocabulary."""
    return _plain(tokenizer, _backend(tokenizer), tokenizer.model_input_names, max_length)


def whole_prompt(
    tokenizer: PreTrainedTokenizerBase, template: str, max_length: int, has_special_tokens: bool = False
) -> PromptTokenizer:
    """A tokenizer that reads each pair as `template`'s whole string; see `PromptTokenizer`.

    Raises:
        ValueError: for a template without one place for the query and one for the passage.
    """
    for place in (QUERY, PASSAGE):
        if template.count(place) != 1:
            raise ValueError(f"prompt_template has {template.count(place)} places {place}; it needs one")
    return PromptTokenizer(
        tokenizer_object=_backend(tokenizer),
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=max_length,
        prompt_template=template,
        has_special_tokens=has_special_tokens,
        **_special_tokens(tokenizer),
    )


def without_end_token(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, without an end of text that it may put behind a text: an answer is to follow."""
    ids = tokenizer("a")["input_ids"]
    if ids[-1] != tokenizer.eos_token_id:
        return tokenizer
    start = [(tokenizer.bos_token, ids[0])] if ids[0] == tokenizer.bos_token_id else []
    template = TemplateProcessing(single=[*(name for name, _ in start), "$A"], special_tokens=start)
    names = tokenizer.model_input_names
    return _plain(tokenizer, _backend(tokenizer, template), names, tokenizer.model_max_length)


def answer_id(tokenizer: PreTrainedTokenizerBase, template: str, word: str) -> int:
    """The token that `word` is where it follows the prompt.

    Raises:
        ValueError: where it is not exactly one.
    """
    tail = PLACES.split(template)[-1]
    before, ids = _ids(tokenizer, tail), _ids(tokenizer, tail + word)
    if ids[:-1] != before or ids[-1] == tokenizer.unk_token_id:
        raise ValueError(
            f"{word!r} is not one token behind the prompt's end {tail[-20:]!r}; the score needs it as one"
        )
    return ids[-1]


def word_id(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    """The token that `word` is by itself."""
    ids = _ids(tokenizer, word)
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ValueError(f"{word!r} is not one token of this vocabulary; the score needs it as one")
    return ids[0]


def chat_prompt(tokenizer: PreTrainedTokenizerBase, declared: Declared) -> str | None:
    """The prompt that a cross-encoder's chat template makes of a pair; None where it does not take pairs.

    sentence-transformers gives it the roles `query` and `document`, and the declared prompt as `system`.

    Raises:
        ValueError: for a chat template that changes its texts, as by trimming: a prompt cannot.
    """
    if not tokenizer.chat_template or not declared.takes_messages:
        return None
    # Templates that expect lists of parts do not find a plain string, and the other way round.
    for is_list in (False, True):
        prompt = _rendered(tokenizer, declared, QUERY, PASSAGE, is_list)
        if prompt.count(QUERY) == prompt.count(PASSAGE) == 1:
            break
    else:
        return None
    probe = (" a\n", "\n B ")
    if _rendered(tokenizer, declared, *probe, is_list) != filled(prompt, *probe).text:
        raise ValueError(
            "the chat template changes its texts, which a prompt cannot; give prompt_template yourself"
        )
    return prompt


def _rendered(
    tokenizer: PreTrainedTokenizerBase, declared: Declared, query: str, passage: str, is_list: bool
) -> str:
    options = {
        name: value for name, value in declared.chat_template_options.items() if name not in NOT_THE_TEMPLATES
    }
    texts = {"system": declared.default_prompt, "query": query, "document": passage}
    messages = [_message(role, text, is_list) for role, text in texts.items() if text is not None]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except Exception:  # a template is a program of its own: it may fail at roles it does not know in any way
        return ""


def _message(role: str, text: str, is_list: bool) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}] if is_list else text}


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def _backend(tokenizer: PreTrainedTokenizerBase, post_processor: PostProcessor | None = None) -> Tokenizer:
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    if post_processor is not None:
        backend.post_processor = post_processor
    return backend


def _plain(
    tokenizer: PreTrainedTokenizerBase, backend: Tokenizer, input_names: Sequence[str], max_length: int
) -> PreTrainedTokenizerFast:
    # T5Tokenizer would overwrite the template when it is loaded; the plain fast class keeps it.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=list(input_names),
        model_max_length=max_length,
        **_special_tokens(tokenizer),
    )


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> Mapping[str, str]:
    return {
        name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
    }
