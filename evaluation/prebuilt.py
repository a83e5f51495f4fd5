"""Collections by name through Pyserini: its prebuilt indexes, topics and judgments, in its own cache."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation.pyserini_tables import FIRST_STAGES, Condition, TabledCollection
from retrieval.errors import InputError
from retrieval.provenance import CHECKOUT
from retrieval.records import Passage
from retrieval.retrievers.lucene import start_jvm
from retrieval.trec_run import Run, read_run

TOPICS_URL = "https://github.com/castorini/anserini-tools/tree/master/topics-and-qrels"
TEXT_FIELDS = ("text", "contents", "passage", "body")


@dataclass(frozen=True, slots=True)
class PrebuiltCorpus:
    """A collection of Pyserini's tables. `local_index`: a Lucene index in place of the prebuilt BM25 index."""

    tabled: TabledCollection
    local_index: Path | None = None

    def topics(self) -> dict[str, str]:
        """Query id → text of all topics, downloaded where they are not in Pyserini's cache.

        Raises:
            InputError: where that fails; it says what is missing, how large it is, and how to give it.
        """
        start_jvm()
        from pyserini.search import get_topics

        with self._downloading("the topics", self.tabled.bm25):
            topics = get_topics(self.tabled.bm25.option("topics"))
        return {str(query_id): topic["title"] for query_id, topic in topics.items()}

    def qrels_path(self) -> Path:
        """The TREC judgments. Raises as `topics`."""
        start_jvm()
        from pyserini.search import get_qrels_file

        with self._downloading("the judgments", self.tabled.bm25):
            return Path(get_qrels_file(self.tabled.qrels))

    def search(self, first_stage: str, queries: Mapping[str, str], top_k: int, work: Path) -> Run:
        """The first stage's passages of each query, by the command of Pyserini's table.

        Args:
            first_stage: `bm25`, `splade`, `dense` or a condition's own name.
            work: the finished run is kept below it, and read by a second call.

        Raises:
            InputError: for a first stage that the table has not, an index that cannot be downloaded, or a
                command that fails.
        """
        condition = self._condition(first_stage)
        index = self._index(condition)
        arguments = [*condition.arguments, "--hits", str(top_k + 1)]  # one more: some drop the query itself
        if condition is self.tabled.bm25:  # others keep the name: Pyserini tunes BM25 by the index's name
            arguments[arguments.index("--index") + 1] = str(Path(index).resolve())
        key = json.dumps([arguments, os.stat(index).st_mtime_ns, list(queries.items())])
        folder = work.resolve() / f"{self.tabled.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        if not (folder / "run.txt").is_file():
            self._run(condition, arguments, queries, folder)
        return read_run(folder / "run.txt")

    def get(self, docids: Sequence[str]) -> list[Passage]:
        """The passages with these ids, as the BM25 index stores them.

        Raises:
            KeyError: with the first id that the index has not.
        """
        start_jvm()
        from pyserini.search.lucene import LuceneSearcher

        index = self._index(self.tabled.bm25)
        searcher = LuceneSearcher(index)
        passages = []
        for docid in docids:
            document = searcher.doc(docid)
            if document is None:
                raise KeyError(docid)
            if document.raw() is None:
                raise InputError(f"index {index} stores no text; give one that does (not a slim one)")
            passages.append(_passage(docid, document.raw()))
        return passages

    def _condition(self, first_stage: str) -> Condition:
        condition = self.tabled.condition(first_stage)
        if condition is None:
            known = [name for name in FIRST_STAGES if self.tabled.condition(name)]
            raise InputError(
                f"{self.tabled.name} has no first stage {first_stage!r}; it has {', '.join(known)}, a run file, "
                f"or a condition of Pyserini's table: {', '.join(sorted(self.tabled.conditions))}"
            )
        return condition

    def _index(self, condition: Condition) -> str:
        """The index's folder, downloaded at first use."""
        start_jvm()
        from pyserini.util import download_prebuilt_index

        if self.local_index and condition is self.tabled.bm25:
            if not self.local_index.is_dir():
                raise InputError(f"index {self.local_index} is not a folder")
            return str(self.local_index)
        with self._downloading(f"the index {condition.option('index')}", condition):
            return download_prebuilt_index(condition.option("index"), verbose=False)

    @contextmanager
    def _downloading(self, what: str, condition: Condition) -> Iterator[None]:
        from jnius import JavaException

        try:
            yield
        # AssertionError: Pyserini's answer to a file of the wrong size or checksum.
        except (OSError, ValueError, AssertionError, JavaException) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{self.tabled.name}: {what} could not be downloaded ({reason}). {self._needs(condition)}"
            ) from error

    def _needs(self, condition: Condition) -> str:
        from pyserini.util import get_cache_home

        bm25, cache = self.tabled.bm25, get_cache_home()
        names = dict.fromkeys([bm25.option("index"), condition.option("index")])
        return (
            f"Needed: {'; '.join(_describe(name, cache) for name in names)}; topics {bm25.option('topics')} and "
            f"qrels {self.tabled.qrels} (under 10 MB, from {TOPICS_URL} to ~/.cache/pyserini/topics-and-qrels). "
            "Offline: give your own with --index FOLDER --topics FILE --qrels FILE, or set PYSERINI_CACHE to "
            "a cache that holds the indexes"
        )

    def _run(
        self, condition: Condition, arguments: list[str], queries: Mapping[str, str], folder: Path
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished, log = folder / "run.txt.unfinished", folder / "log.txt"
        unfinished.unlink(missing_ok=True)
        arguments[arguments.index("$output")] = str(unfinished)
        if self._reads_plain_topics(condition):
            topics = folder / "topics.json"
            topics.write_text(json.dumps({query_id: {"title": text} for query_id, text in queries.items()}))
            arguments[arguments.index("--topics") + 1] = str(topics)
        command = [sys.executable, "-m", "evaluation.pyserini_command", *arguments[1:]]
        with log.open("w") as file:
            subprocess.run(command, cwd=CHECKOUT, stdout=file, stderr=subprocess.STDOUT, check=False)
        if not unfinished.is_file() or not unfinished.stat().st_size:
            last = (log.read_text().strip().splitlines() or ["no output"])[-1]
            raise InputError(f"{self.tabled.name}: Pyserini's command failed ({last}); see {log}")
        os.replace(unfinished, folder / "run.txt")

    def _reads_plain_topics(self, condition: Condition) -> bool:
        """Whether the condition searches the queries' text; other topics are already encoded."""
        from pyserini.search._base import topics_mapping

        names = (condition.option("topics"), self.tabled.bm25.option("topics"))
        own, plain = (topics_mapping[name].path for name in names)
        return own == plain


def _describe(index: str, cache: str) -> str:
    from pyserini import prebuilt_index_info as tables

    known = {**tables.TF_INDEX_INFO, **tables.IMPACT_INDEX_INFO}
    known |= {**tables.LUCENE_HNSW_INDEX_INFO, **tables.LUCENE_FLAT_INDEX_INFO, **tables.FAISS_INDEX_INFO}
    info = known[index]
    url, gigabytes = info["urls"][0], info["size compressed (bytes)"] / 1e9
    folder = re.sub(r"\.tar\.gz.*$", "", url.split("/")[-1])
    return f"index {index} ({gigabytes:.2f} GB, {url}, unpacked at {cache}/indexes/{folder}.{info['md5']})"


def _passage(docid: str, raw: str) -> Passage:
    row = json.loads(raw)
    text = next((row[name] for name in TEXT_FIELDS if row.get(name)), "")
    return Passage(docid, row.get("title") or "", text)
