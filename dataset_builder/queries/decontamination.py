"""Keeps queries that occur in an evaluation set out of a dataset.

A query occurs there if, lower-cased and without punctuation, its words are those of an evaluation query in any
order, or it shares 8 words in a row with one (GPT-3, Brown et al. 2020, appendix C, uses 8 to 13).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrieval.queries import read_query_texts

NGRAM = 8
_WORD = re.compile(r"\w+")


class ExcludedQueries:
    """Queries of evaluation sets; `query in excluded` says whether a query occurs among them."""

    def __init__(self, queries: Iterable[str]) -> None:
        texts = [_words(query) for query in queries]
        self._whole = {tuple(sorted(words)) for words in texts}
        self._ngrams = {ngram for words in texts for ngram in _ngrams(words)}

    @classmethod
    def read(cls, paths: Iterable[str]) -> "ExcludedQueries":
        """The queries of files, as `read_query_texts` takes them.

        Raises:
            InputError: for a file that is missing or empty, or a line of another form.
        """
        return cls(query for path in paths for query in read_query_texts(Path(path)))

    def __contains__(self, query: object) -> bool:
        words = _words(str(query))
        return tuple(sorted(words)) in self._whole or any(ngram in self._ngrams for ngram in _ngrams(words))


def _words(query: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(query.casefold()))


def _ngrams(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (words[start : start + NGRAM] for start in range(len(words) - NGRAM + 1))
