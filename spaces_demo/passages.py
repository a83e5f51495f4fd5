"""Passages to search: the bundled dataset's, or a visitor's own. Visitors' input is checked here."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import DatasetDict, load_dataset

MAX_PASSAGES = 1000
MAX_PASSAGE_CHARACTERS = 20_000
MAX_CHARACTERS = 2_000_000
NUM_EXAMPLES = 5


class InputError(ValueError):
    """Input that cannot be used. Its message is for the visitor: what, where, and how to mend it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of the collection. `title` may be empty, `text` may not."""

    docid: str
    title: str
    text: str

    @property
    def contents(self) -> str:
        """Title and text as one string: what is indexed and scored, as in training."""
        return f"{self.title} {self.text}" if self.title else self.text


def load_rankings(dataset_name: str) -> DatasetDict:
    """The splits of a ranking dataset, a folder or a repository on the Hub.

    Raises:
        OSError: where there is none of this name.
        ValueError: where it has other columns, or no row.
    """
    splits = load_dataset(dataset_name)
    if not any(split.num_rows for split in splits.values()):
        raise ValueError("it has no rankings")
    for name, split in splits.items():
        if not {"query", "retrieved_passages"} <= set(split.column_names):
            raise ValueError(
                f"split {name!r} has columns {split.column_names}, not 'query', 'retrieved_passages'"
            )
    return splits


def distinct_passages(splits: DatasetDict) -> list[Passage]:
    """The passages of all rankings, each once, in the order they first appear."""
    passages: dict[str, Passage] = {}
    for split in splits.values():
        for retrieved in split["retrieved_passages"]:
            for row in retrieved:
                passages.setdefault(row["docid"], Passage(row["docid"], row["title"], row["text"]))
    return list(passages.values())


def example_queries(splits: DatasetDict) -> list[str]:
    """A few queries of the last split, as a rule the test split."""
    *_, last = splits.values()
    return list(last[:NUM_EXAMPLES]["query"])


def listed_passages(texts: Sequence[str]) -> list[Passage]:
    """The texts as passages, numbered from 1.

    Raises:
        InputError: where this is no list of texts, where it or a text is empty, or over a limit.
    """
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise InputError("The passages are no list of texts.")
    if not texts:
        raise InputError("The list of passages is empty; give at least one.")
    numbered = enumerate(texts, start=1)
    return _checked(
        ((f"passage {number}", Passage(str(number), "", text.strip())) for number, text in numbered),
        "the list of passages",
    )


def pasted_passages(text: str) -> list[Passage]:
    """One passage a line; blank lines are skipped. No text at all gives an empty list."""
    return _checked(_from_lines(text, "line"), "the pasted passages")


def uploaded_passages(path: Path) -> list[Passage]:
    """The passages of a UTF-8 file.

    `.txt`: one a line; `.jsonl`: BEIR's objects with `_id`, `text` and, if they like, `title`;
    `.tsv`: `id, text` or `id, title, text`, no header, no quoting.

    Raises:
        InputError: where the file cannot be read, holds no passage, or is over a limit.
    """
    if path.suffix not in _READERS:
        raise InputError(f"{path.name}: unknown file type; upload a .txt, .jsonl or .tsv file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} is not UTF-8 text; convert it first.") from error
    passages = _checked(_READERS[path.suffix](text, f"{path.name} line"), path.name)
    if not passages:
        raise InputError(f"{path.name} holds no passage; put one on each line.")
    return passages


def _from_lines(text: str, place: str) -> Iterator[tuple[str, Passage]]:
    for number, line in _lines(text):
        yield f"{place} {number}", Passage(str(number), "", line.strip())


def _from_jsonl(text: str, place: str) -> Iterator[tuple[str, Passage]]:
    for number, line in _lines(text):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place} {number}: not JSON.") from error
        if not isinstance(row, dict) or not isinstance(row.get("_id"), str | int):
            raise InputError(f'{place} {number}: expected an object with "_id" and "text".')
        title, body = row.get("title") or "", row.get("text") or ""
        if not isinstance(title, str) or not isinstance(body, str):
            raise InputError(f'{place} {number}: "title" and "text" must be strings.')
        yield f"{place} {number}", Passage(str(row["_id"]), title.strip(), body.strip())


def _from_tsv(text: str, place: str) -> Iterator[tuple[str, Passage]]:
    for number, line in _lines(text):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) not in (2, 3):
            raise InputError(
                f"{place} {number}: {len(fields)} column(s); expected id, text or id, title, text."
            )
        yield f"{place} {number}", Passage(fields[0], fields[1] if len(fields) == 3 else "", fields[-1])


_READERS = {".txt": _from_lines, ".jsonl": _from_jsonl, ".tsv": _from_tsv}


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip())


def _checked(located: Iterator[tuple[str, Passage]], source: str) -> list[Passage]:
    passages: list[Passage] = []
    num_characters = 0
    for place, passage in located:
        if not passage.text:
            raise InputError(f"{place}: empty text.")
        if len(passage.contents) > MAX_PASSAGE_CHARACTERS:
            raise InputError(f"{place}: longer than {MAX_PASSAGE_CHARACTERS:,} characters; split it.")
        if not is_unicode(passage.docid + passage.contents):
            raise InputError(f"{place}: holds characters that are not valid text.")
        if len(passages) == MAX_PASSAGES:
            raise InputError(f"More than {MAX_PASSAGES:,} passages in {source}; leave some out.")
        num_characters += len(passage.contents)
        if num_characters > MAX_CHARACTERS:
            raise InputError(f"More than {MAX_CHARACTERS:,} characters in {source}; leave some out.")
        passages.append(passage)
    return passages


def is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: JSON can spell half a surrogate pair, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
