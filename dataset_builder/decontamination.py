"""Keeps queries that occur in an evaluation set out of a dataset.

A query occurs there if, lower-cased and without punctuation, its words are those of an evaluation query in any
order, or it shares 8 words in a row with one (GPT-3, Brown et al. 2020, appendix C, uses 8 to 13).
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dataset_builder.errors import InputError

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
        """The queries of files: JSONL with `text`, or `id<TAB>text` lines.

        Raises:
            InputError: for a file that is missing, or a line of another form.
        """
        return cls(query for path in paths for query in _read(Path(path)))

    def __contains__(self, query: object) -> bool:
        words = _words(str(query))
        return tuple(sorted(words)) in self._whole or any(ngram in self._ngrams for ngram in _ngrams(words))


def _words(query: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(query.casefold()))


def _ngrams(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return (words[start : start + NGRAM] for start in range(len(words) - NGRAM + 1))


def _read(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise InputError(f"--exclude_queries {path} does not exist")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _text(line, f"{path} line {number}")


def _text(line: str, place: str) -> str:
    if not line.startswith("{"):
        _, tab, text = line.rstrip("\n").partition("\t")
        if not tab:
            raise InputError(f"{place}: neither JSON nor id<TAB>text; give queries.jsonl or a .tsv of topics")
        return text
    try:
        return str(json.loads(line)["text"])
    except (json.JSONDecodeError, KeyError) as error:
        raise InputError(f"{place}: no JSON object with a text ({error})") from error
