"""Searches as Pyserini's tables do: a condition's own command, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from evaluation.pyserini_tables import Condition, TabledCollection
from retrieval.errors import InputError
from retrieval.provenance import CHECKOUT
from retrieval.retrievers.jvm import start_jvm


def command_of(collection: TabledCollection, condition: Condition, index: str, top_k: int) -> list[str]:
    """The arguments of a condition's command, for `top_k` passages of the index in folder `index`."""
    arguments = [*condition.arguments, "--hits", str(top_k + 1)]  # one more: some drop the query itself
    if condition is collection.bm25:  # others keep the name: Pyserini tunes BM25 by the index's name
        arguments[arguments.index("--index") + 1] = str(Path(index).resolve())
    return arguments


def write_run_of(
    collection: TabledCollection,
    condition: Condition,
    arguments: list[str],
    queries: Mapping[str, str],
    folder: Path,
) -> None:
    """Run `arguments` for `queries`; leaves `run.txt` and `log.txt` in `folder`.

    Raises:
        InputError: where the command fails; it names the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished, log = folder / "run.txt.unfinished", folder / "log.txt"
    unfinished.unlink(missing_ok=True)
    arguments[arguments.index("$output")] = str(unfinished)
    if _reads_plain_topics(collection, condition):
        topics = folder / "topics.json"
        topics.write_text(json.dumps({query_id: {"title": text} for query_id, text in queries.items()}))
        arguments[arguments.index("--topics") + 1] = str(topics)
    command = [sys.executable, "-m", "evaluation.pyserini_command", *arguments[1:]]
    with log.open("w") as file:
        subprocess.run(command, cwd=CHECKOUT, stdout=file, stderr=subprocess.STDOUT, check=False)
    if not unfinished.is_file() or not unfinished.stat().st_size:
        last = (log.read_text().strip().splitlines() or ["no output"])[-1]
        raise InputError(f"{collection.name}: Pyserini's command failed ({last}); see {log}")
    os.replace(unfinished, folder / "run.txt")


def _reads_plain_topics(collection: TabledCollection, condition: Condition) -> bool:
    """Whether the condition searches the queries' text; other topics are already encoded."""
    start_jvm()
    from pyserini.search._base import topics_mapping

    names = (condition.option("topics"), collection.bm25.option("topics"))
    own, plain = (topics_mapping[name].path for name in names)
    return own == plain
