"""Scores survive a kill: what was scored before it is read, not scored again."""

import signal
import subprocess
import sys
from pathlib import Path

from evaluation.score_cache import CHUNK, TIMED, WARM_UP, ScoreCache

ROOT = Path(__file__).parents[2]
PAIRS = [("query", f"passage {number}") for number in range(3 * CHUNK)]
SCORING = """
import sys, time
from pathlib import Path
from evaluation.score_cache import CHUNK, ScoreCache

calls = 0

def scorer(pairs):
    global calls
    calls += 1
    if calls == 3:
        print("two chunks are done", flush=True)
        time.sleep(600)
    return [float(len(passage)) for _, passage in pairs]

pairs = [("query", f"passage {number}") for number in range(3 * CHUNK)]
ScoreCache(Path(sys.argv[1])).fill("revision", pairs, scorer)
"""


def test_a_kill_loses_only_the_chunk_in_flight(tmp_path):
    path = tmp_path / "scores.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", SCORING, path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "two chunks are done\n"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    cache = ScoreCache(path)
    missing = cache.missing("revision", PAIRS)
    assert missing == PAIRS[WARM_UP + TIMED :]
    cache.fill("revision", missing, lambda pairs: [float(len(passage)) for _, passage in pairs])
    assert cache.scores("revision", PAIRS) == {pair: float(len(pair[1])) for pair in PAIRS}


def test_of_many_pairs_the_first_are_timed_and_the_rest_scored_passage_by_passage(tmp_path):
    cache, calls = ScoreCache(tmp_path / "scores.sqlite"), []
    pairs = [(f"query {query}", f"passage {passage}") for query in range(30) for passage in range(100)]

    def scorer(chunk):
        calls.append(chunk)
        return [float(len(query)) for query, _ in chunk]

    cache.fill("revision", pairs, scorer)
    assert calls[:2] == [pairs[:WARM_UP], pairs[WARM_UP : WARM_UP + TIMED]]
    assert sorted(pair for chunk in calls for pair in chunk) == sorted(pairs)
    # 24 of 30 queries were not timed.
    assert len({passage for _, passage in calls[2]}) <= CHUNK / 24 + 1
    seconds = cache.seconds("revision", pairs)
    assert len(seconds) == TIMED and min(seconds) > 0
    assert cache.scores("revision", pairs)["query 29", "passage 99"] == len("query 29")


def test_another_revision_query_or_passage_is_another_score(tmp_path):
    cache = ScoreCache(tmp_path / "scores.sqlite")
    cache.fill("a", [("q", "p")], lambda pairs: [1.5])
    assert cache.missing("a", [("q", "p"), ("q", "p2"), ("q2", "p")]) == [("q", "p2"), ("q2", "p")]
    assert cache.missing("b", [("q", "p")]) == [("q", "p")]
