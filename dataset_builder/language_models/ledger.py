"""Every call, written down before it is sent: one SQLite file for all tasks, processes and batches of a build.

Because a call is here before it is sent, a cap on cost and a rate limit hold over all that run at once, and a kill
forgets neither. A call whose sender died stays, since it may have been paid.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dataset_builder.language_models.answer_cache import TokensPaid
from dataset_builder.language_models.chat import ChatAnswer

SECONDS_TO_WAIT_FOR_OTHERS = 60.0
# Calls that are done are of interest only to rate limits.
SECONDS_KEPT = 180.0

_TABLES = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, server TEXT, model TEXT, key TEXT, batch TEXT, prompt_tokens INTEGER,
    completion_tokens INTEGER, sent_at REAL, done_at REAL, state TEXT);
CREATE INDEX IF NOT EXISTS calls_by_key ON calls (key);
CREATE TABLE IF NOT EXISTS bought (
    model TEXT, batch INTEGER, answers INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER,
    PRIMARY KEY (model, batch));
CREATE TABLE IF NOT EXISTS used (
    model TEXT, key TEXT, batch INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER, PRIMARY KEY (model, key));
CREATE TABLE IF NOT EXISTS sizes (model TEXT PRIMARY KEY, prompt_ratio REAL, completion_tokens INTEGER);
CREATE TABLE IF NOT EXISTS servers (server TEXT PRIMARY KEY, not_before REAL);
CREATE TABLE IF NOT EXISTS dialects (server TEXT, model TEXT, spelling TEXT, PRIMARY KEY (server, model));
CREATE TABLE IF NOT EXISTS taken_over (once INTEGER PRIMARY KEY);
"""
# In flight, or its sender died; perhaps paid, its answer lost; over.
PLANNED, LOST, DONE = "planned", "lost", "done"


@dataclass(frozen=True, slots=True)
class Call:
    """A call and what it will take at most, as far as we know. `batch`: the batch it is part of, `""` if none."""

    server: str
    model: str
    key: str
    prompt_tokens: int
    completion_tokens: int
    batch: str = ""

    @property
    def tokens(self) -> int:
        """Both together: what limits of tokens count."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Sizes:
    """The largest calls of a model so far: prompt tokens for each one estimated, and tokens of an answer; 0 at
    first."""

    prompt_ratio: float = 0.0
    completion_tokens: int = 0


class Ledger:
    """Open `path`, made where it is missing; without one it is kept in memory. Not for several threads; any number of
    processes."""

    def __init__(self, path: Path | None = None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        where = path or ":memory:"
        self._db = sqlite3.connect(where, timeout=SECONDS_TO_WAIT_FOR_OTHERS, isolation_level=None)
        # A kill loses nothing; a power failure may lose the last calls, and that only counts them too cheap.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """What is read and written inside is one step for all other processes."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def begin(self, call: Call, now: float) -> int:
        """Write down a call that is about to be sent; returns its number."""
        return self._insert(call, now).lastrowid or 0

    def settle(self, number: int, answer: ChatAnswer, now: float) -> None:
        """The call was answered: its tokens are known, and paid."""
        with self.alone():
            tokens = (answer.prompt_tokens, answer.completion_tokens)
            row = self._db.execute(
                "UPDATE calls SET state = ?, done_at = ?, prompt_tokens = ?, completion_tokens = ? "
                "WHERE id = ? AND state = ? RETURNING model, batch != ''",
                (DONE, now, *tokens, number, PLANNED),
            ).fetchone()
            if row:
                self._add(row[0], bool(row[1]), TokensPaid(1, *tokens))
            self._db.execute("DELETE FROM calls WHERE state = ? AND done_at < ?", (DONE, now - SECONDS_KEPT))

    def end(self, number: int, state: str, now: float) -> None:
        """The call brought no answer: `DONE`, it costs nothing, or `LOST`, it may be paid."""
        self._db.execute("UPDATE calls SET state = ?, done_at = ? WHERE id = ?", (state, now, number))

    def paid(self, model: str, batch: bool, tokens: TokensPaid) -> None:
        """Count what was paid for."""
        with self.alone():
            self._add(model, batch, tokens)

    def _add(self, model: str, batch: bool, tokens: TokensPaid) -> None:
        self._db.execute(
            "INSERT INTO bought VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET answers = answers + ?3, "
            "prompt_tokens = prompt_tokens + ?4, completion_tokens = completion_tokens + ?5",
            (model, int(batch), tokens.answers, tokens.prompt_tokens, tokens.completion_tokens),
        )

    def take_over(self, paid: Mapping[tuple[str, bool], TokensPaid]) -> None:
        """Count once what was paid before there was a ledger."""
        with self.alone():
            first = self._db.execute("INSERT OR IGNORE INTO taken_over VALUES (1)").rowcount
            for (model, batch), tokens in paid.items() if first else ():
                self._add(model, batch, tokens)

    def bought(self, model: str) -> dict[bool, TokensPaid]:
        """What this build has paid for, by whether in a batch."""
        rows = self._db.execute(
            "SELECT batch, answers, prompt_tokens, completion_tokens FROM bought WHERE model = ?", (model,)
        )
        return {bool(batch): TokensPaid(*tokens) for batch, *tokens in rows}

    def use(self, model: str, answers: Iterable[tuple[str, bool, ChatAnswer]]) -> None:
        """The build uses these answers, whoever paid for them: (key, whether from a batch, answer)."""
        rows = [
            (model, key, int(batch), answer.prompt_tokens, answer.completion_tokens)
            for key, batch, answer in answers
        ]
        with self.alone():
            self._db.executemany("INSERT OR IGNORE INTO used VALUES (?, ?, ?, ?, ?)", rows)

    def used(self, model: str) -> dict[bool, TokensPaid]:
        """What this build uses, by whether it was bought in a batch."""
        rows = self._db.execute(
            "SELECT batch, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens) FROM used WHERE model = ? "
            "GROUP BY batch",
            (model,),
        )
        return {bool(batch): TokensPaid(*tokens) for batch, *tokens in rows}

    def unsettled(self, model: str, sent_after: float) -> list[tuple[bool, bool, TokensPaid]]:
        """Calls that may still be paid, or are lost: (in a batch, in flight as far as we know, what they take)."""
        rows = self._db.execute(
            "SELECT batch != '', state = ? AND batch = '' AND sent_at > ?, COUNT(*), SUM(prompt_tokens), "
            "SUM(completion_tokens) FROM calls WHERE model = ? AND state != ? GROUP BY 1, 2",
            (PLANNED, sent_after, model, DONE),
        )
        return [(bool(batch), bool(flying), TokensPaid(*tokens)) for batch, flying, *tokens in rows]

    def left_behind(self, model: str) -> list[tuple[int, str]]:
        """Number and key of every live call that has no outcome."""
        return self._db.execute(
            "SELECT id, key FROM calls WHERE model = ? AND state = ? AND batch = ''", (model, PLANNED)
        ).fetchall()

    def window(self, server: str, begin: float, dead_before: float) -> tuple[int, int, float]:
        """Calls and tokens that count since `begin`, and when the first of them was over (infinity: in flight).

        A call counts from its sending to a window's length after its end, since we cannot know when in between the
        server counts it; one that was sent before `dead_before` is not in flight any more.
        """
        return self._db.execute(
            "SELECT COUNT(*), COALESCE(SUM(prompt_tokens + completion_tokens), 0), COALESCE(MIN(done_at), 9e999) "
            "FROM calls WHERE server = ? AND batch = '' AND (done_at > ? OR (done_at IS NULL AND sent_at > ?))",
            (server, begin, dead_before),
        ).fetchone()

    def last_sent(self, server: str) -> tuple[float, int]:
        """When the last call was sent, and its tokens."""
        row = self._db.execute(
            "SELECT sent_at, prompt_tokens + completion_tokens FROM calls WHERE server = ? AND batch = '' "
            "ORDER BY id DESC LIMIT 1",
            (server,),
        ).fetchone()
        return row or (0.0, 0)

    def pause(self, server: str, until: float) -> None:
        """Nothing is sent to `server` before `until`."""
        self._db.execute(
            "INSERT INTO servers VALUES (?1, ?2) ON CONFLICT DO UPDATE SET not_before = MAX(not_before, ?2)",
            (server, until),
        )

    def not_before(self, server: str) -> float:
        """When `server` may be asked again."""
        row = self._db.execute("SELECT not_before FROM servers WHERE server = ?", (server,)).fetchone()
        return float(row[0]) if row else 0.0

    def sizes(self, model: str) -> Sizes:
        """How large the model's calls were."""
        row = self._db.execute(
            "SELECT prompt_ratio, completion_tokens FROM sizes WHERE model = ?", (model,)
        ).fetchone()
        return Sizes(*row) if row else Sizes()

    def measure(self, model: str, prompt_ratio: float, completion_tokens: int) -> None:
        """Take the size of a call."""
        self._db.execute(
            "INSERT INTO sizes VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET "
            "prompt_ratio = MAX(prompt_ratio, ?2), completion_tokens = MAX(completion_tokens, ?3)",
            (model, prompt_ratio, completion_tokens),
        )

    def reserve(self, calls: Iterable[Call]) -> None:
        """Write down the calls of batches that are yet to be submitted."""
        for call in calls:
            self._insert(call, None)

    def queue(self, batch: str, most: int | None, now: float) -> bool:
        """Whether there is room for the tokens of `batch` among `most` in the queue; it counts from then on. An empty
        queue has room for any."""
        with self.alone():
            own, queued = self._db.execute(
                "SELECT COALESCE(SUM(CASE WHEN batch = ?1 THEN prompt_tokens + completion_tokens END), 0), "
                "COALESCE(SUM(CASE WHEN batch != ?1 AND sent_at IS NOT NULL THEN prompt_tokens + completion_tokens "
                "END), 0) FROM calls WHERE batch != ''",
                (batch,),
            ).fetchone()
            has_room = most is None or not queued or own + queued <= most
            if has_room:
                self._db.execute("UPDATE calls SET sent_at = ? WHERE batch = ?", (now, batch))
            return bool(has_room)

    def settle_in_batch(self, model: str, batch: str, key: str, answer: ChatAnswer, known: bool) -> None:
        """A call of a batch was answered. `known`: perhaps it was settled before."""
        with self.alone():
            settled = self._db.execute("DELETE FROM calls WHERE key = ? AND batch = ?", (key, batch)).rowcount
            if settled or not known:
                self._add(model, True, TokensPaid(1, answer.prompt_tokens, answer.completion_tokens))

    def drop(self, batches: Iterable[str]) -> None:
        """These batches are over, or never were: what they did not answer costs nothing."""
        self._db.executemany("DELETE FROM calls WHERE batch = ?", ((batch,) for batch in batches))

    def forget_unsent(self, prefix: str) -> None:
        """Drop the calls of batches named `prefix...` that were never submitted."""
        self._db.execute(
            "DELETE FROM calls WHERE substr(batch, 1, ?) = ? AND sent_at IS NULL", (len(prefix), prefix)
        )

    def spelling(self, server: str, model: str) -> dict[str, int]:
        """What was learnt of the parameters that `server` takes for `model`; see `Dialect`."""
        row = self._db.execute(
            "SELECT spelling FROM dialects WHERE server = ? AND model = ?", (server, model)
        ).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def learn(self, server: str, model: str, spelling: Mapping[str, int]) -> None:
        """Remember it."""
        self._db.execute(
            "INSERT OR REPLACE INTO dialects VALUES (?, ?, ?)", (server, model, json.dumps(dict(spelling)))
        )

    def _insert(self, call: Call, sent_at: float | None) -> sqlite3.Cursor:
        row = (call.server, call.model, call.key, call.batch, call.prompt_tokens, call.completion_tokens)
        return self._db.execute(
            "INSERT INTO calls (server, model, key, batch, prompt_tokens, completion_tokens, sent_at, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, sent_at, PLANNED),
        )
