"""Cropped sentences: queries that are a passage's own words."""

import random

from retrieval.language import ENGLISH
from retrieval.records import Passage
from retrieval.segmentation import first_words, sentences

MIN_WORDS, MAX_WORDS = 4, 32


def cropped_sentence(passage: Passage, rng: random.Random, language: str = ENGLISH) -> str | None:
    """A random sentence of the passage, cut to 32 words; None where the one drawn has fewer than 4.

    Source: TWOLAR, section 3.1, after DRAGON's cropped sentences.
    """
    sentence = rng.choice(sentences(passage.text, language))
    query, num_words = first_words(sentence, MAX_WORDS, language)
    return query if num_words >= MIN_WORDS else None
