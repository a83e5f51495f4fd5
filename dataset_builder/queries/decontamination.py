"""Keeps queries that occur in an evaluation set out of a dataset.

A query occurs there if, lower-cased and without punctuation, its words are those of an evaluation query in any
order, or it shares 8 words in a row with one (GPT-3, Brown et al. 2020, appendix C, uses 8 to 13).
"""

import re
from collections.abc import Iterable
from pathlib import Path

from retrieval.language import ENGLISH
from retrieval.queries import read_query_texts
from retrieval.segmentation import ngrams, words

NGRAM = 8
_WORD = re.compile(r"\w+")


class ExcludedQueries:
    """Queries of evaluation sets; `query in excluded` says whether a query occurs among them."""

    def __init__(self, queries: Iterable[str], language: str = ENGLISH) -> None:
        self._language = language
        texts = [_words(query, language) for query in queries]
        self._whole = {tuple(sorted(text)) for text in texts}
        self._ngrams = {ngram for text in texts for ngram in ngrams(text, NGRAM)}

    @classmethod
    def read(cls, paths: Iterable[str], language: str = ENGLISH) -> "ExcludedQueries":
        """The queries of files, as `read_query_texts` takes them.

        Raises:
            InputError: for a file that is missing or empty, or a line of another form.
        """
        return cls((query for path in paths for query in read_query_texts(Path(path))), language)

    def __contains__(self, query: object) -> bool:
        text = _words(str(query), self._language)
        return tuple(sorted(text)) in self._whole or any(
            ngram in self._ngrams for ngram in ngrams(text, NGRAM)
        )


def _words(query: str, language: str) -> tuple[str, ...]:
    text = query.casefold()
    return tuple(_WORD.findall(text) if language == ENGLISH else words(text, language))
