"""Scores on disk: what a model has scored once, it need not score again."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from huggingface_hub import HfApi

CHUNK = 2000
WEIGHTS = ("*.safetensors", "*.bin", "config.json", "tokenizer.json", "modules.json")

Pair = tuple[str, str]
Scorer = Callable[[Sequence[Pair]], Sequence[float]]


class ScoreCache:
    """Scores by model revision, query and passage; each 2,000 are on disk before the next are scored."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path)
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS scores (key BLOB PRIMARY KEY, score REAL) WITHOUT ROWID"
        )

    def missing(self, revision: str, pairs: Iterable[Pair]) -> list[Pair]:
        """The distinct pairs that this revision has not scored yet."""
        return [pair for pair in dict.fromkeys(pairs) if self._get(revision, pair) is None]

    def fill(self, revision: str, pairs: Sequence[Pair], scorer: Scorer) -> None:
        """Score `pairs` and keep the scores."""
        for start in range(0, len(pairs), CHUNK):
            chunk = pairs[start : start + CHUNK]
            rows = [(_key(revision, pair), score) for pair, score in zip(chunk, scorer(chunk), strict=True)]
            with self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO scores VALUES (?, ?)", rows)

    def scores(self, revision: str, pairs: Iterable[Pair]) -> list[float]:
        """The scores of pairs that were all scored before."""
        found = [self._get(revision, pair) for pair in pairs]
        assert None not in found
        return [score for score in found if score is not None]

    def _get(self, revision: str, pair: Pair) -> float | None:
        query = "SELECT score FROM scores WHERE key = ?"
        row = self._connection.execute(query, (_key(revision, pair),)).fetchone()
        return None if row is None else row[0]


def model_revision(name_or_path: str) -> str:
    """What tells a model's weights from any others: their hash, or the Hub's commit."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        return str(HfApi().model_info(name_or_path).sha)
    digest = hashlib.sha256()
    for path in sorted(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _key(revision: str, pair: Pair) -> bytes:
    parts = (revision, *pair)
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()
