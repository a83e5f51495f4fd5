"""Passages of words drawn by Zipf's law: what they cost can be measured, and nothing is said of quality."""

import random
from collections.abc import Iterator
from itertools import accumulate

MS_MARCO = 8_841_823
VOCABULARY = 200_000
WORDS_A_PASSAGE = 56
SENTENCE_WORDS = 14


def synthetic_texts(count: int, words_a_passage: int = WORDS_A_PASSAGE) -> Iterator[str]:
    """Texts of sentences, half to one and a half times `words_a_passage` long; the same ones in every call."""
    rng = random.Random(0)
    words = [f"w{rank}" for rank in range(VOCABULARY)]
    weights = list(accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
    for _ in range(count):
        drawn = rng.choices(
            words, cum_weights=weights, k=rng.randint(words_a_passage // 2, 3 * words_a_passage // 2)
        )
        sentences = (drawn[start : start + SENTENCE_WORDS] for start in range(0, len(drawn), SENTENCE_WORDS))
        yield " ".join(" ".join(sentence) + "." for sentence in sentences)
