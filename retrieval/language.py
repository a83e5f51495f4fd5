"""The language of a corpus, found from a sample: it says where sentences and words end, and how Lucene reads them."""

import re
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

from retrieval.errors import InputError
from retrieval.records import Passage

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ENGLISH = "en"
SAMPLE_PASSAGES, SAMPLE_CHARACTERS = 1_000, 500
# Names, numbers and code in Latin letters resemble many a language: fewer letters than these say nothing.
MIN_LATIN_LETTERS = 500
# The others in Latin letters read as English does: Lucene has no analyser for them.
LATIN = ("da", "de", "en", "es", "fi", "fr", "hu", "id", "it", "nb", "nl", "nn", "no", "pl", "pt", "sv", "tr")

_CODE = re.compile(r"[a-z]{2,3}")
_LATIN_LETTER = re.compile(r"[A-Za-z\u00c0-\u024f]")


def check_language(language: str) -> None:
    """Find out whether `language` is written as a language's code.

    Raises:
        InputError: where it is not.
    """
    if not _CODE.fullmatch(language):
        raise InputError(f"--language is {language!r}; give an ISO 639 code such as en, de, zh, ja or th")


def language_of(passages: Iterable[Passage]) -> str:
    """The ISO 639-1 code of the language of the first 1,000 passages together; English where that cannot be told."""
    sample = " ".join(passage.contents[:SAMPLE_CHARACTERS] for passage in islice(passages, SAMPLE_PASSAGES))
    found = str(_identifier().classify(sample)[0])
    letters = sum(character.isalpha() for character in sample)
    latin = len(_LATIN_LETTER.findall(sample))
    is_latin = 2 * latin > letters
    if not letters or (is_latin and (latin < MIN_LATIN_LETTERS or found not in LATIN)):
        return ENGLISH
    return found


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
