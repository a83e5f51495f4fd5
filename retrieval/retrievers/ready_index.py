"""Indexes that are there already, in place of ones made here: folders, or names of Pyserini's."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from retrieval.batches import batched
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.retrievers.jvm import start_jvm

# Of a folder of Pyserini's with a Faiss index: the index, and the ids of its rows.
FAISS_FILE, DOCID_FILE = "index", "docid"
LOOKED_UP_AT_ONCE = 10_000


class Rows(Protocol):
    """Which passage stands in which row of an index."""

    def rows(self, docids: Sequence[str]) -> list[int]:
        """The row of each id."""
        ...

    def docids(self, rows: Sequence[int]) -> list[str]:
        """The id at each row."""
        ...


class ListedRows:
    """Rows of an index that has its passages in an order of its own, 16 bytes a passage.

    Raises:
        InputError: for a list that does not hold each of the passages once.
    """

    def __init__(self, listed: Path, passages: PassageStore) -> None:
        self._passages = passages
        parts = batched(_lines(listed), LOOKED_UP_AT_ONCE)
        try:
            self._stored = np.fromiter((row for part in parts for row in passages.rows(part)), np.int64)
        except KeyError as error:
            raise InputError(f"{listed} lists passage {error}, which the corpus has not") from error
        if not np.array_equal(np.sort(self._stored), np.arange(len(passages))):
            raise InputError(
                f"{listed} lists {len(self._stored):,} passages and the corpus has {len(passages):,}; both must be "
                "the same collection, each passage once"
            )
        self._own = np.argsort(self._stored)

    def rows(self, docids: Sequence[str]) -> list[int]:
        """See `Rows`."""
        return self._own[self._passages.rows(docids)].tolist()

    def docids(self, rows: Sequence[int]) -> list[str]:
        """See `Rows`."""
        return self._passages.docids(self._stored[rows].tolist())


def ready_lucene(flag: str, name_or_path: str, num_passages: int) -> Path:
    """The folder of a Lucene index of the corpus, of words or of impacts.

    Raises:
        InputError: for an index that cannot be had, or that holds another number of passages.
    """
    folder = _located(flag, name_or_path)
    from pyserini.search.lucene import LuceneSearcher

    _require_count(flag, name_or_path, LuceneSearcher(str(folder)).num_docs, num_passages)
    return folder


def ready_faiss(flag: str, name_or_path: str, passages: PassageStore) -> tuple[Path, Rows]:
    """The file of a Faiss index of the corpus, and its rows: a folder as Pyserini has it, or a file whose rows are in
    the corpus's order.

    Raises:
        InputError: as for `ready_lucene`, and for a list of ids that is not of this corpus.
    """
    is_file = Path(name_or_path).is_file()
    folder = Path(name_or_path).parent if is_file else _located(flag, name_or_path)
    path = Path(name_or_path) if is_file else folder / FAISS_FILE
    listed = folder / DOCID_FILE
    if not is_file and not (path.is_file() and listed.is_file()):
        raise InputError(f"{flag} {name_or_path} has no Faiss index: files {FAISS_FILE} and {DOCID_FILE}")
    from retrieval.retrievers.faiss_index import open_faiss_index

    try:
        indexed = open_faiss_index(path).ntotal
    except RuntimeError as error:
        raise InputError(f"{flag} {path} is no Faiss index") from error
    _require_count(flag, name_or_path, indexed, len(passages))
    return path, passages if is_file else ListedRows(listed, passages)


def _located(flag: str, name_or_path: str) -> Path:
    start_jvm()
    from pyserini.util import download_prebuilt_index

    if Path(name_or_path).is_dir():
        return Path(name_or_path)
    try:
        return Path(download_prebuilt_index(name_or_path, verbose=False))
    except (ValueError, OSError) as error:
        raise InputError(
            f"{flag} {name_or_path}: neither a folder nor an index that Pyserini can fetch ({error})"
        ) from error


def _require_count(flag: str, name_or_path: str, indexed: int, num_passages: int) -> None:
    if indexed != num_passages:
        raise InputError(
            f"{flag} {name_or_path} holds {indexed:,} passages and the corpus {num_passages:,}; "
            "both must be the same collection, with the same ids"
        )


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from (line.rstrip("\n") for line in file)
