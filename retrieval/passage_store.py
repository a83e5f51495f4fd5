"""Passages on disk, found by id or by row: what lets every later stage forget the corpus."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from retrieval.records import Passage

LOOKUP_SIZE = 500
SCHEMA = "CREATE TABLE passages (row INTEGER PRIMARY KEY, docid TEXT UNIQUE, title TEXT, text TEXT)"


class DuplicateDocid(ValueError):
    """Two passages share an id. `docid` says which."""

    def __init__(self, docid: str) -> None:
        super().__init__(f"two passages have the id {docid!r}")
        self.docid = docid


class PassageStore:
    """A read-only SQLite file of passages, numbered by row from 0 in corpus order.

    `num_empty`: how many passages of the corpus have neither title nor text, and were left out.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        self._count: int = self._connection.execute("SELECT count(*) FROM passages").fetchone()[0]
        # SQLite keeps one number of the user's in a file, which is all that is needed here.
        self.num_empty: int = self._connection.execute("PRAGMA user_version").fetchone()[0]

    @classmethod
    def build(cls, path: Path, passages: Iterable[Passage]) -> "PassageStore":
        """Write `passages` to `path`, aside first and then renamed; those without title and text are counted.

        Raises:
            DuplicateDocid: at the first id that was seen before.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.unlink(missing_ok=True)
        connection = sqlite3.connect(unfinished)
        try:
            _insert(connection, passages)
        finally:
            connection.close()
        os.replace(unfinished, path)
        return cls(path)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Passage]:
        for values in self._connection.execute("SELECT docid, title, text FROM passages ORDER BY row"):
            yield Passage(*values)

    def at(self, row: int) -> Passage:
        """The passage at `row`, from 0 in corpus order."""
        values = self._connection.execute("SELECT docid, title, text FROM passages WHERE row = ?", (row,))
        return Passage(*values.fetchone())

    def between(self, first: int, last: int) -> Iterator[Passage]:
        """The passages from row `first` to before `last`."""
        query = "SELECT docid, title, text FROM passages WHERE row >= ? AND row < ? ORDER BY row"
        for values in self._connection.execute(query, (first, last)):
            yield Passage(*values)

    def get(self, docids: Sequence[str]) -> list[Passage]:
        """The passages with these ids, in the order asked for.

        Raises:
            KeyError: with the first id that is not in the store.
        """
        found = {
            values[0]: Passage(*values) for values in self._select("docid, title, text", "docid", docids)
        }
        return [found[docid] for docid in docids]

    def known(self, docids: Sequence[str]) -> list[str]:
        """Those of the ids that the store has."""
        return [docid for docid, _ in self._select("docid, row", "docid", docids)]

    def rows(self, docids: Sequence[str]) -> list[int]:
        """The row of each id."""
        found = dict(self._select("docid, row", "docid", docids))
        return [found[docid] for docid in docids]

    def docids(self, rows: Sequence[int]) -> list[str]:
        """The id at each row."""
        found = dict(self._select("row, docid", "row", rows))
        return [found[row] for row in rows]

    def _select(self, columns: str, key: str, values: Sequence[str] | Sequence[int]) -> Iterator[tuple]:
        for start in range(0, len(values), LOOKUP_SIZE):
            chunk = values[start : start + LOOKUP_SIZE]
            marks = ",".join("?" * len(chunk))
            yield from self._connection.execute(
                f"SELECT {columns} FROM passages WHERE {key} IN ({marks})", chunk
            )


def _insert(connection: sqlite3.Connection, passages: Iterable[Passage]) -> None:
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute(SCHEMA)
    row = num_empty = 0
    with connection:
        for passage in passages:
            if not passage.contents:
                num_empty += 1
                continue
            values = (row, passage.docid, passage.title, passage.text)
            row += 1
            try:
                connection.execute("INSERT INTO passages VALUES (?, ?, ?, ?)", values)
            except sqlite3.IntegrityError as error:
                raise DuplicateDocid(passage.docid) from error
        connection.execute(f"PRAGMA user_version = {num_empty}")
