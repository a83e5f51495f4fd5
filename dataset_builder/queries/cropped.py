"""Cropped sentences: queries that are a passage's own words."""

import random
import re

from retrieval.records import Passage

MIN_WORDS, MAX_WORDS = 4, 32

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def cropped_sentence(passage: Passage, rng: random.Random) -> str | None:
    """A random sentence of the passage, cut to 32 words; None where the one drawn has fewer than 4.

    Source: TWOLAR, section 3.1, after DRAGON's cropped sentences.
    """
    words = rng.choice(_SENTENCE_END.split(passage.text)).split()
    return " ".join(words[:MAX_WORDS]) if len(words) >= MIN_WORDS else None
