"""A collection by name through Pyserini: its prebuilt indexes, topics and judgments, in its own cache."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.pyserini_downloads import fetch_index, fetch_qrels, fetch_topics
from evaluation.pyserini_search import command_of, write_run_of
from evaluation.pyserini_tables import FIRST_STAGES, Condition, TabledCollection
from retrieval.errors import InputError
from retrieval.records import Passage
from retrieval.retrievers.jvm import start_jvm
from retrieval.trec_run import Run, read_run

TEXT_FIELDS = ("text", "contents", "passage", "body")


@dataclass(frozen=True, slots=True)
class PrebuiltCorpus:
    """A collection of Pyserini's tables. `local_index`: a Lucene index in place of the prebuilt BM25 index."""

    tabled: TabledCollection
    local_index: Path | None = None

    def topics(self) -> dict[str, str]:
        """Query id → text of all topics. Raises as `fetch_topics`."""
        return fetch_topics(self.tabled)

    def qrels_path(self) -> Path:
        """The TREC judgments. Raises as `fetch_topics`."""
        return fetch_qrels(self.tabled)

    @property
    def removes_queries(self) -> bool:
        """Whether its searches leave out the passage of the query's own id."""
        return "--remove-query" in self.tabled.bm25.arguments

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
        arguments = command_of(self.tabled, condition, index, top_k)
        key = json.dumps([arguments, os.stat(index).st_mtime_ns, list(queries.items())])
        folder = work.resolve() / f"{self.tabled.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        if not (folder / "run.txt").is_file():
            write_run_of(self.tabled, condition, arguments, queries, folder)
        return read_run(folder / "run.txt")

    def get(self, docids: Sequence[str]) -> list[Passage]:
        """The passages with these ids, as the BM25 index stores them.

        Raises:
            KeyError: with the first id that the index has not.
            InputError: for an index that stores no text.
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

    def known(self, docids: Sequence[str]) -> list[str]:
        """Those of the ids that the BM25 index has."""
        start_jvm()
        from pyserini.search.lucene import LuceneSearcher

        searcher = LuceneSearcher(self._index(self.tabled.bm25))
        return [docid for docid in docids if searcher.doc(docid) is not None]

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
        """The index's folder."""
        if not self.local_index or condition is not self.tabled.bm25:
            return fetch_index(self.tabled, condition)
        if not self.local_index.is_dir():
            raise InputError(f"index {self.local_index} is not a folder")
        return str(self.local_index)


def _passage(docid: str, raw: str) -> Passage:
    row = json.loads(raw)
    text = next((row[name] for name in TEXT_FIELDS if row.get(name)), "")
    return Passage(docid, row.get("title") or "", text)
