"""Streams a corpus, passage by passage, from any of the layouts people keep theirs in."""

import argparse
import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from packaged import PYTHON_STDLIB, stdlib_docstrings
from retrieval.errors import InputError
from retrieval.fields import PASSAGE_IDS, TEXTS, checked_passage, passage_of
from retrieval.hosted_corpora import HUGGING_FACE, IR_DATASETS, read_hugging_face, read_ir_datasets
from retrieval.lines import located_lines, numbered_lines, parse_object
from retrieval.records import Passage
from retrieval.tsv import read_tsv

LAYOUTS = (
    "a .jsonl[.gz], .tsv[.gz] or .parquet, several of them (a pattern, or by commas), a folder of texts or of such "
    f"files, {HUGGING_FACE}NAME[/CONFIG][:SPLIT], {IR_DATASETS}NAME, or {PYTHON_STDLIB}"
)
TEXT_SUFFIXES = (".txt", ".md")
COLUMNS = (("id", "text"), ("id", "title", "text"))
SEPARATOR = ","

LocatedPassages = Iterator[tuple[str, Passage]]


class CorpusFlag(argparse.Action):
    """A flag that takes one corpus, or the several files of one: `--corpus a.jsonl b.jsonl`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep the files as one string, as `read_corpus` takes it."""
        setattr(namespace, self.dest, SEPARATOR.join(values or ()))


def read_corpus(corpus: str | Path) -> Iterator[Passage]:
    """Stream the passages of `corpus`, in its own order, those without title and text too; nothing is held in memory.

    Args:
        corpus: one of
            - a BEIR `corpus.jsonl[.gz]`: objects with `_id`, `text` and, if they like, `title`; or `id`, `contents`;
            - a `.tsv[.gz]`: columns as its header names them, or `id, text` or `id, title, text`;
            - a `.parquet` with columns of these names;
            - several such files: a pattern (`docs/*.jsonl`), or their names with commas;
            - a folder that holds `corpus.jsonl[.gz]`, or only such files;
            - a folder of `.txt` or `.md` files: the id is the path below the folder, blanks as `%20`;
            - `hf:NAME[/CONFIG][:SPLIT]`, a dataset of the Hugging Face Hub or a folder of one;
            - `ir_datasets:NAME`, a collection of that library;
            - `python-stdlib`: the docstrings of the running Python's standard library.

    Raises:
        InputError: with file and line, at the first passage that cannot be used, or for an empty corpus.
    """
    return (passage for _, passage in located_passages(corpus))


def located_passages(corpus: str | Path) -> LocatedPassages:
    """As `read_corpus`, each passage with the place it stands at, e.g. `corpus.jsonl line 3`."""
    has_text = False
    for place, passage in _open_corpus(str(corpus)):
        has_text = has_text or bool(passage.contents)
        yield place, passage
    if not has_text:
        raise InputError(f"corpus {corpus} holds no passage")


def corpus_files(corpus: str | Path) -> list[Path]:
    """The files that `corpus` is read from; none for what is not in files here.

    Raises:
        InputError: for a file that is missing or of no known type, or a pattern that no file matches.
    """
    return list(named_files(corpus))


def named_files(corpus: str | Path) -> dict[Path, str]:
    """The `corpus_files`, each with the part of its name that ids are made of: of texts the path, of others nothing.

    Raises:
        InputError: as `corpus_files`.
    """
    name = str(corpus)
    if name == PYTHON_STDLIB or name.startswith((HUGGING_FACE, IR_DATASETS)):
        return {}
    return {
        file: _path_below(root, file) if _suffix(file) in TEXT_SUFFIXES else ""
        for file, root in _rooted_files(_named_paths(name))
    }


def corpus_name(corpus: str) -> str:
    """What cards call it: the names of its files or its folder, without where they are."""
    if corpus.startswith((HUGGING_FACE, IR_DATASETS)):
        return corpus
    return ", ".join(
        Path(each).name for each in ([corpus] if os.path.exists(corpus) else corpus.split(SEPARATOR))
    )


def _open_corpus(corpus: str) -> LocatedPassages:
    if corpus == PYTHON_STDLIB:
        return ((docid, Passage(docid, title, text)) for docid, title, text in stdlib_docstrings())
    if corpus.startswith(HUGGING_FACE):
        return ((place, passage_of(row, place)) for place, row in read_hugging_face(corpus))
    if corpus.startswith(IR_DATASETS):
        return ((place, checked_passage(passage, place)) for place, passage in read_ir_datasets(corpus))
    return _read_paths(_named_paths(corpus))


def _named_paths(corpus: str) -> list[Path]:
    """The file or folder of this name; else the files of a pattern, or of names with commas."""
    if os.path.lexists(corpus):
        return [Path(corpus)]
    parts = corpus.split(SEPARATOR)
    if len(parts) > 1:
        return [path for part in parts for path in _named_paths(part.strip())]
    found = sorted(glob.glob(corpus, recursive=True)) if glob.has_magic(corpus) else []
    if not found:
        raise InputError(f"corpus {corpus} does not exist; give {LAYOUTS}")
    return [Path(path) for path in found]


def _read_paths(paths: Sequence[Path]) -> LocatedPassages:
    for file, root in _rooted_files(paths):
        yield from _reader_of(file)(file, root)


def _rooted_files(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Each file, with the folder that the ids of texts start from."""
    texts_below = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    for path in paths:
        root = path if path.is_dir() else texts_below
        for file in _files_of(path) if path.is_dir() else [path]:
            yield file, root


def _path_below(root: Path, file: Path) -> str:
    return file.absolute().relative_to(root.absolute()).as_posix()


def _files_of(folder: Path) -> list[Path]:
    """`corpus.jsonl[.gz]`; or all files of text below the folder; or its own files of passages."""
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if os.path.lexists(folder / name):
            return [folder / name]
    if os.path.lexists(folder / "queries.jsonl"):
        raise InputError(
            f"corpus {folder} has queries.jsonl but no corpus.jsonl[.gz]; name the file of its passages"
        )
    found = sorted(path for path in folder.rglob("*") if not path.is_dir())
    texts = [path for path in found if _suffix(path) in TEXT_SUFFIXES]
    tables = [
        path for path in found if path.parent == folder and _suffix(path) in (".jsonl", ".tsv", ".parquet")
    ]
    texts = [path for path in texts if not (tables and path.name.casefold() == "readme.md")]
    if texts and tables:
        raise InputError(
            f"corpus {folder} holds texts ({texts[0].name}) and tables ({tables[0].name}); say which, "
            f"e.g. '{folder}/*{_suffix(tables[0])}'"
        )
    return tables or texts


def _suffix(path: Path) -> str:
    return Path(path.name.casefold().removesuffix(".gz")).suffix


def _reader_of(path: Path) -> Callable[[Path, Path], LocatedPassages]:
    reader = READERS.get(_suffix(path))
    if reader is None:
        raise InputError(f"corpus {path}: unknown file type; give {LAYOUTS}")
    return reader


def _read_text(path: Path, root: Path) -> LocatedPassages:
    text = "\n".join(line for _, line in numbered_lines(path))
    docid = re.sub(r"\s", lambda blank: quote(blank[0]), _path_below(root, path))
    yield str(path), checked_passage(Passage(docid, "", text.strip()), str(path))


def _read_jsonl(path: Path, _: Path) -> LocatedPassages:
    return ((place, passage_of(parse_object(line, place), place)) for place, line in located_lines(path))


def _read_tsv(path: Path, _: Path) -> LocatedPassages:
    rows = read_tsv(path, PASSAGE_IDS, TEXTS, COLUMNS)
    return ((place, passage_of(row, place)) for place, row in rows)


def _read_parquet(path: Path, _: Path) -> LocatedPassages:
    # Not before: it takes seconds to import.
    from retrieval.parquet import read_parquet

    return ((place, passage_of(row, place)) for place, row in read_parquet(path))


READERS: dict[str, Callable[[Path, Path], LocatedPassages]] = {
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    ".json": _read_jsonl,
    ".parquet": _read_parquet,
    **dict.fromkeys(TEXT_SUFFIXES, _read_text),
}
