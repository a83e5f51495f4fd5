"""Which words of a passage late interaction compares with the query's: those whose tokens are nearest to its own."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from bm25s.stopwords import STOPWORDS_EN_PLUS
from passage_vectors import TextVectors
from transformers import PreTrainedTokenizerBase

WORD = re.compile(r"([^\W_]+)")
# The nearest token may be far: a cosine below this is shown as no match.
NEAR = 0.5
STOPWORDS = frozenset(STOPWORDS_EN_PLUS)


class Nearest(NamedTuple):
    """A word of the query, and the passage's word nearest to it. `start`: where that one begins in the passage."""

    query_word: str
    word: str
    start: int


class Text(NamedTuple):
    """A text and its vectors."""

    text: str
    vectors: TextVectors


def nearest_words(tokenizer: PreTrainedTokenizerBase, query: Text, passage: Text) -> list[Nearest]:
    """For each token of the query's words that are no stop words, the passage's word whose token is nearest.

    Empty where the vectors are of other tokens than the text's: those of a query that was cut.
    """
    query_words = _words_of_tokens(tokenizer, query.text, is_query=True)
    passage_words = _words_of_tokens(tokenizer, passage.text, is_query=False)
    if (len(query_words), len(passage_words)) != (len(query.vectors.tokens), len(passage.vectors.tokens)):
        return []
    cosines, places = (query.vectors.tokens @ passage.vectors.tokens.T).max(dim=1)
    found = [
        Nearest(asked[0], near[0], near[1])
        for asked, cosine, place in zip(query_words, cosines.tolist(), places.tolist(), strict=True)
        if asked and cosine >= NEAR and asked[0].lower() not in STOPWORDS and (near := passage_words[place])
    ]
    return list(dict.fromkeys(found))


def _words_of_tokens(
    tokenizer: PreTrainedTokenizerBase, text: str, is_query: bool
) -> list[tuple[str, int] | None]:
    """Of each token that is compared, its word and where that begins; None for punctuation, and for what frames a text.

    A passage's frame is compared too, a query's is not: see `bi_encoder.py` of the checkpoint.
    """
    encoded = tokenizer(
        [(text, "") if is_query else ("", text)],
        truncation=True, max_length=tokenizer.model_max_length, return_offsets_mapping=True,
    )  # fmt: skip
    own = [part == 0 for part in encoded.sequence_ids(0)] if is_query else encoded["token_type_ids"][0]
    offsets = [offset for offset, is_own in zip(encoded["offset_mapping"][0], own, strict=True) if is_own]
    return list(_words_at(text, offsets))


def _words_at(text: str, offsets: list[tuple[int, int]]) -> Iterator[tuple[str, int] | None]:
    words = list(WORD.finditer(text))
    starts = [word.start() for word in words]
    for start, end in offsets:
        index = bisect_right(starts, start) - 1
        within = start < end and index >= 0 and start < words[index].end()
        yield (words[index][0], starts[index]) if within else None
