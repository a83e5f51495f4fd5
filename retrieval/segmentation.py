"""Where sentences and words end, in any language: Unicode's rules and dictionaries, by ICU."""

import re
from collections.abc import Iterator, Sequence

from retrieval.language import ENGLISH

# Written without blanks between words; ICU tells their words apart by dictionary.
WITHOUT_SPACES = ("zh", "ja", "th", "km", "lo", "my")
# Of these, the languages whose sentences end at a blank and not at a mark.
BLANK_ENDS = ("th", "km", "lo")

_ENGLISH_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def sentences(text: str, language: str) -> Sequence[str]:
    """The sentences of `text`, in its order; of English, cut at end marks and empty lines."""
    if language == ENGLISH:
        return _ENGLISH_END.split(text)
    if language in BLANK_ENDS:
        return text.split() or [""]
    from icu4py.breakers import SentenceBreaker

    return [sentence.strip() for sentence in SentenceBreaker(text, language)] or [""]


def words(text: str, language: str) -> list[str]:
    """The words of `text` as ICU tells them apart: what holds a letter or a digit."""
    return [piece for piece in _pieces(text, language) if _is_word(piece)]


def ngrams(words: Sequence[str], length: int) -> Iterator[tuple[str, ...]]:
    """Every `length` words in a row; none of fewer."""
    return (tuple(words[start : start + length]) for start in range(len(words) - length + 1))


def first_words(text: str, limit: int, language: str) -> tuple[str, int]:
    """The beginning of `text`, of `limit` words, and how many words that is; white space becomes single blanks."""
    if language not in WITHOUT_SPACES:
        beginning = text.split()[:limit]
        return " ".join(beginning), len(beginning)
    taken: list[str] = []
    count = 0
    for piece in _pieces(text, language):
        count += _is_word(piece)
        if count > limit:
            return _one_line(taken), limit
        taken.append(piece)
    return _one_line(taken), count


def _pieces(text: str, language: str) -> Iterator[str]:
    from icu4py.breakers import WordBreaker

    return iter(WordBreaker(text, language))


def _is_word(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _one_line(pieces: Sequence[str]) -> str:
    return " ".join("".join(pieces).split())
