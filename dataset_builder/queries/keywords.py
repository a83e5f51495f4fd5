"""Keyword queries: the offline stand-in for docT5query."""

import math
import random
import re
from collections import Counter
from dataclasses import dataclass

from retrieval.language import ENGLISH
from retrieval.passage_store import PassageStore
from retrieval.records import Passage
from retrieval.segmentation import WITHOUT_SPACES, words

MIN_KEYWORDS, MAX_KEYWORDS = 2, 5
DOCUMENT_FREQUENCY_SAMPLE = 20_000
# Characters of a word; a word of Chinese or Japanese is rarely longer than two.
MIN_LENGTH, MIN_LENGTH_WITHOUT_SPACES = 3, 2

_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Keywords:
    """Keyword queries: 2 to 5 of a passage's words of highest TF-IDF, in the passage's order.

    The offline stand-in for docT5query. A word of one passage only is left out: it would find nothing else.
    """

    document_frequency: Counter[str]
    language: str = ENGLISH

    @classmethod
    def from_corpus(cls, passages: PassageStore, seed: int, language: str = ENGLISH) -> "Keywords":
        """Count document frequencies over at most 20,000 random passages, so that memory stays flat."""
        rng = random.Random(f"{seed} document frequency")
        total = len(passages)
        rows = rng.sample(range(total), min(total, DOCUMENT_FREQUENCY_SAMPLE))
        frequency: Counter[str] = Counter()
        for row in rows:
            frequency.update(set(_words(passages.at(row), language)))
        return cls(frequency, language)

    def __call__(self, passage: Passage, rng: random.Random) -> str | None:
        """Keywords drawn from the best words of `passage`; None where it has fewer than 2."""
        weights = self._tf_idf(passage)
        wanted = rng.randint(MIN_KEYWORDS, MAX_KEYWORDS)
        best = sorted(weights, key=lambda word: (-weights[word], word))[: 2 * wanted]
        if len(best) < MIN_KEYWORDS:
            return None
        chosen = set(rng.sample(best, min(wanted, len(best))))
        return " ".join(word for word in weights if word in chosen)

    def _tf_idf(self, passage: Passage) -> dict[str, float]:
        frequency = self.document_frequency
        counts = Counter(word for word in _words(passage, self.language) if frequency[word] > 1)
        return {word: count / math.log1p(frequency[word]) for word, count in counts.items()}


def _words(passage: Passage, language: str) -> list[str]:
    text = passage.text.lower()
    if language == ENGLISH:
        return _WORD.findall(text)
    shortest = MIN_LENGTH_WITHOUT_SPACES if language in WITHOUT_SPACES else MIN_LENGTH
    return [word for word in words(text, language) if len(word) >= shortest and not word.isdecimal()]
