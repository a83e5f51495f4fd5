"""Passages to search: the bundled dataset's, or a visitor's own. Visitors' input is checked here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasets import load_dataset

MAX_PASSAGES = 1000
MAX_PASSAGE_CHARACTERS = 20_000
MAX_FILE_BYTES = 2_000_000


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


def bundled_passages(dataset_name: str) -> list[Passage]:
    """The distinct passages of a ranking dataset's splits, in the order they first appear.

    Raises:
        OSError: where the dataset is neither a folder nor on the Hub.
        ValueError: where it has no `retrieved_passages`.
    """
    passages: dict[str, Passage] = {}
    for name, split in load_dataset(dataset_name).items():
        if "retrieved_passages" not in split.column_names:
            raise ValueError(f"split {name!r} of dataset {dataset_name} has no column 'retrieved_passages'")
        for retrieved in split["retrieved_passages"]:
            for row in retrieved:
                passages.setdefault(row["docid"], Passage(row["docid"], row["title"], row["text"]))
    return list(passages.values())


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
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path.name} is larger than {MAX_FILE_BYTES / 1e6:.0f} MB; upload a part of it.")
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
        except (json.JSONDecodeError, RecursionError) as error:
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
    for place, passage in located:
        if not passage.text:
            raise InputError(f"{place}: empty text.")
        if len(passage.contents) > MAX_PASSAGE_CHARACTERS:
            raise InputError(f"{place}: longer than {MAX_PASSAGE_CHARACTERS:,} characters; split it.")
        if len(passages) == MAX_PASSAGES:
            raise InputError(f"More than {MAX_PASSAGES:,} passages in {source}; leave some out.")
        passages.append(passage)
    return passages
