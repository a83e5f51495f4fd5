"""Scores on disk: what a model has scored once, it need not score again."""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from retrieval.batches import batched

CHUNK = 500
# The first pairs are slower: libraries prepare what they keep. After them so many are timed.
WARM_UP, TIMED = 100, CHUNK
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS timed_scores (key BLOB PRIMARY KEY, score REAL, seconds REAL) WITHOUT ROWID"
)

Pair = tuple[str, str]
Scorer = Callable[[Sequence[Pair]], Sequence[float]]


class ScoreCache:
    """Scores by model revision, query and passage; each 500 are on disk before the next are scored."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path)
        self._connection.execute(SCHEMA)

    def missing(self, revision: str, pairs: Iterable[Pair]) -> list[Pair]:
        """The distinct pairs that this revision has not scored yet."""
        return [pair for pair in dict.fromkeys(pairs) if self._get(revision, pair) is None]

    def fill(self, revision: str, pairs: Sequence[Pair], scorer: Scorer) -> None:
        """Score `pairs` and keep the scores; of the first, in the order given, 500 with their time.

        The rest are scored passage by passage, so that a scorer that encodes a text once does so for all its queries:
        quicker, and no measure of how long a query's candidates take.
        """
        progress = tqdm(desc="scoring", total=len(pairs), unit="pair")
        warm = WARM_UP if len(pairs) > WARM_UP else 0
        timed, rest = pairs[warm : warm + TIMED], pairs[warm + TIMED :]
        by_passage = batched(sorted(rest, key=lambda pair: pair[1]), CHUNK)
        for chunk in filter(None, (pairs[:warm], timed, *by_passage)):
            began = time.perf_counter()
            scores = scorer(chunk)
            seconds = (time.perf_counter() - began) / len(chunk) if chunk is timed else None
            rows = [(_key(revision, pair), score, seconds) for pair, score in zip(chunk, scores, strict=True)]
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO timed_scores VALUES (?, ?, ?)", rows)
            progress.update(len(chunk))
        progress.close()

    def scores(self, revision: str, pairs: Iterable[Pair]) -> dict[Pair, float]:
        """The score of each distinct pair; all were scored before."""
        return {pair: row[0] for pair, row in self._rows(revision, pairs).items()}

    def seconds(self, revision: str, pairs: Iterable[Pair]) -> list[float]:
        """How long each of the distinct pairs took that were timed."""
        return [row[1] for row in self._rows(revision, pairs).values() if row[1] is not None]

    def _rows(self, revision: str, pairs: Iterable[Pair]) -> dict[Pair, tuple[float, float | None]]:
        rows = {pair: self._get(revision, pair) for pair in pairs}
        known = {pair: row for pair, row in rows.items() if row is not None}
        assert len(known) == len(rows)
        return known

    def _get(self, revision: str, pair: Pair) -> tuple[float, float | None] | None:
        query = "SELECT score, seconds FROM timed_scores WHERE key = ?"
        return self._connection.execute(query, (_key(revision, pair),)).fetchone()


def _key(revision: str, pair: Pair) -> bytes:
    parts = (revision, *pair)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
