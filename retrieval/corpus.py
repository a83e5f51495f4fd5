"""Streams a corpus, passage by passage, from any of the layouts people keep theirs in."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from packaged import PYTHON_STDLIB, stdlib_docstrings
from retrieval.errors import InputError
from retrieval.records import Passage

LAYOUTS = f"a .jsonl[.gz], a .tsv[.gz], a folder of texts, or {PYTHON_STDLIB}"

csv.field_size_limit(sys.maxsize)


def read_corpus(corpus: str | Path) -> Iterator[Passage]:
    """Stream the passages of `corpus`, in its own order; nothing is held in memory.

    Args:
        corpus: one of
            - a BEIR `corpus.jsonl[.gz]`: objects with `_id`, `text` and, if they like, `title`;
            - a `.tsv[.gz]`: `id, text` or `id, title, text`, no header, no quoting;
            - a BEIR folder that holds `corpus.jsonl[.gz]`;
            - a folder of `.txt` or `.md` files: the id is the path below the folder;
            - `python-stdlib`: the docstrings of the running Python's standard library.

    Raises:
        InputError: with file and line, at the first passage that cannot be used, or for an empty corpus.
    """
    return (passage for _, passage in located_passages(corpus))


def located_passages(corpus: str | Path) -> Iterator[tuple[str, Passage]]:
    """As `read_corpus`, each passage with the place it stands at, e.g. `corpus.jsonl line 3`."""
    place, passage = "", None
    for place, passage in _open_corpus(corpus):
        yield place, _usable(passage, place)
    if passage is None:
        raise InputError(f"corpus {corpus} holds no passage")


def _open_corpus(corpus: str | Path) -> Iterator[tuple[str, Passage]]:
    if str(corpus) == PYTHON_STDLIB:
        return ((docid, Passage(docid, title, text)) for docid, title, text in stdlib_docstrings())
    path = Path(corpus)
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise InputError(f"corpus {path} does not exist; give {LAYOUTS}")
    name = path.name.removesuffix(".gz")
    if name.endswith(".tsv"):
        return _read_tsv(path)
    if name.endswith((".jsonl", ".json")):
        return _read_jsonl(path)
    raise InputError(f"corpus {path}: unknown file type; give {LAYOUTS}")


def _open_folder(folder: Path) -> Iterator[tuple[str, Passage]]:
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if (folder / name).is_file():
            return _read_jsonl(folder / name)
    return _read_texts(folder)


def _read_texts(folder: Path) -> Iterator[tuple[str, Passage]]:
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".txt", ".md")):
        with _open_text(path) as file:
            text = "".join(line for _, line in _decoded_lines(path, file))
        yield path.name, Passage(path.relative_to(folder).as_posix(), "", text.strip())


def _read_jsonl(path: Path) -> Iterator[tuple[str, Passage]]:
    with _open_text(path) as file:
        for place, line in _decoded_lines(path, file):
            if line.strip():
                yield place, _passage_from_json(line, place)


def _passage_from_json(line: str, place: str) -> Passage:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error.msg} at column {error.colno})") from error
    if not isinstance(row, dict) or not isinstance(row.get("_id"), str | int):
        raise InputError(f'{place}: expected an object with "_id" and "text"')
    title, text = row.get("title") or "", row.get("text") or ""
    if not isinstance(title, str) or not isinstance(text, str):
        raise InputError(f'{place}: "title" and "text" must be strings')
    return Passage(str(row["_id"]), title.strip(), text.strip())


def _read_tsv(path: Path) -> Iterator[tuple[str, Passage]]:
    with _open_text(path) as file:
        for place, line in _decoded_lines(path, file):
            fields = [field.strip() for field in line.rstrip("\r\n").split("\t")]
            if fields == [""]:
                continue
            if len(fields) not in (2, 3):
                raise InputError(f"{place}: {len(fields)} columns; expected id, text or id, title, text")
            yield place, Passage(fields[0], fields[1] if len(fields) == 3 else "", fields[-1])


def _open_text(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _decoded_lines(path: Path, file: io.BufferedIOBase) -> Iterator[tuple[str, str]]:
    number = 0
    try:
        for number, line in enumerate(file, start=1):
            yield f"{path.name} line {number}", line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} line {number}: not UTF-8 text; convert it first") from error
    except (OSError, EOFError) as error:
        raise InputError(f"{path.name} after line {number}: cannot be read ({error})") from error


def _usable(passage: Passage, place: str) -> Passage:
    if not passage.docid:
        raise InputError(f"{place}: passage without an id")
    if any(character.isspace() for character in passage.docid):
        raise InputError(f"{place}: id {passage.docid!r} contains white space, which run files cannot hold")
    if not passage.text:
        raise InputError(f"{place}: passage {passage.docid!r} has no text")
    try:
        f"{passage.docid}{passage.title}{passage.text}".encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{place}: passage {passage.docid!r} holds half a surrogate pair") from error
    return passage
