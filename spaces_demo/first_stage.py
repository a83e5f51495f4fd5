"""What finds candidates: BM25 over stems, and a checkpoint's cosine where it has vectors of the passages."""

from collections.abc import Sequence
from itertools import chain, zip_longest

import bm25s
import numpy as np
import Stemmer
from numpy.typing import NDArray

NUM_CANDIDATES = 50

Scores = NDArray[np.float32]
_stemmer = Stemmer.Stemmer("english")


class Bm25:
    """BM25 over texts held in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._num_texts = len(texts)
        stems = [stems_of(text) for text in texts]
        self._index: bm25s.BM25 | None = None
        if any(stems):
            self._index = bm25s.BM25()
            self._index.index(stems, show_progress=False)

    def scores(self, stems: Sequence[str]) -> Scores:
        """(num_texts,), 0 for a text that has none of the stems."""
        if self._index is None or not stems:
            return np.zeros(self._num_texts, dtype=np.float32)
        return self._index.get_scores(list(stems))


def stems_of(text: str) -> list[str]:
    """The stems that BM25 matches: of lowercased words, English stop words left out."""
    return bm25s.tokenize(text, stemmer=_stemmer, return_ids=False, show_progress=False)[0]


def stem_of(word: str) -> str:
    """One word's stem; a stop word has one too."""
    return _stemmer.stemWord(word.lower())


def best_first(scores: Scores) -> list[int]:
    """Indices from the highest score to the lowest; ties keep the collection's order."""
    return np.argsort(-scores, kind="stable").tolist()


def candidates(bm25: Scores, cosines: Scores | None) -> list[int]:
    """Indices of at most 50 texts: the best by BM25 and by cosine, in turn; a small collection's all.

    BM25 gives only texts that share a word with the query.
    """
    small = len(bm25) <= NUM_CANDIDATES
    by_words = [index for index in best_first(bm25) if small or bm25[index] > 0]
    by_meaning = [] if cosines is None else best_first(cosines)
    in_turn = chain.from_iterable(zip_longest(by_words, by_meaning))
    return list(dict.fromkeys(index for index in in_turn if index is not None))[:NUM_CANDIDATES]
