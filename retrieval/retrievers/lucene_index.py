"""Writes a Lucene index of any size in a heap of any size, and counts what is in it.

Anserini's indexer keeps up to 2 GB of postings before it writes any, whatever the heap, and keeps Lucene's errors to
itself. Here the buffer is a share of the heap, and what Lucene holds is compared with what it was given.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from retrieval.errors import InputError
from retrieval.retrievers.jvm import start_jvm

# Documents that are handed over at once: so many, or fewer long ones.
BATCH_SIZE = 1000
BATCH_CHARACTERS = 2**20
# Postings are written out when they take this share of the heap; merging segments needs room, too.
BUFFERED_SHARE = 1 / 8
# Stands between a term and its impact; no vocabulary has it.
DELIMITER = "\ue000"
MOST_THREADS = 16

# Id and contents.
Document = tuple[str, str]


class DocumentWriter(Protocol):
    """An index that is being written. `lucene`: Lucene's IndexWriter."""

    lucene: Any

    def add(self, documents: Sequence[Document]) -> None:
        """Add some documents."""
        ...


def write_lucene_index(
    documents: Iterable[Document], index_dir: Path, begin: Callable[[Path], DocumentWriter]
) -> int:
    """Index `documents`, aside and renamed; those of blank contents are left out, as nothing finds them.

    Args:
        begin: `TextWriter` or `ImpactWriter`, which begin an index in a folder.

    Returns:
        How many were indexed.

    Raises:
        InputError: where Lucene did not take all of them, mostly because its heap is too small.
    """
    start_jvm()
    unfinished = index_dir.with_name(f"{index_dir.name}.unfinished")
    for folder in (unfinished, index_dir):
        shutil.rmtree(folder, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    given = _write(documents, begin(unfinished))
    _compare(_num_indexed(unfinished), given)
    os.replace(unfinished, index_dir)
    return given


def _write(documents: Iterable[Document], writer: DocumentWriter) -> int:
    from jnius import JavaException

    lucene, given = writer.lucene, 0
    try:
        lucene.getConfig().setRAMBufferSizeMB(_buffer_mib())
        for batch in _batches(documents):
            given += len(batch)
            writer.add(batch)
            # Anserini counts what failed, and says nothing.
            _compare(lucene.getDocStats().numDocs, given)
        lucene.close()
    except JavaException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"Lucene stopped before its {given:,}th document ({reason}); {_mend()}") from error
    finally:
        if lucene.isOpen():
            lucene.rollback()
    return given


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for docid, contents in documents:
        if not contents.strip():
            continue
        batch.append((docid, contents))
        size += len(contents)
        if len(batch) == BATCH_SIZE or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _compare(indexed: int, given: int) -> None:
    if indexed != given:
        raise InputError(f"Lucene holds {indexed:,} of {given:,} documents; {_mend()}")


def _mend() -> str:
    return (
        f"its heap is {_heap_mib():.0f} MiB, which may be too small: set JAVA_TOOL_OPTIONS=-Xmx4g, look whether the "
        "disk is full, and give the same command again"
    )


def _buffer_mib() -> float:
    return max(4.0, _heap_mib() * BUFFERED_SHARE)


def _heap_mib() -> float:
    from jnius import autoclass

    return float(autoclass("java.lang.Runtime").getRuntime().maxMemory()) / 2**20


def _num_indexed(folder: Path) -> int:
    from jnius import autoclass

    reader = autoclass("org.apache.lucene.index.DirectoryReader").open(_directory(folder))
    try:
        return int(reader.numDocs())
    finally:
        reader.close()


def _directory(folder: Path) -> Any:
    from jnius import autoclass

    path = autoclass("java.io.File")(str(folder)).toPath()
    return autoclass("org.apache.lucene.store.FSDirectory").open(path)


class TextWriter:
    """Text for BM25, analysed by Anserini, with these flags of its own."""

    def __init__(self, folder: Path, flags: Sequence[str]) -> None:
        from pyserini.index.lucene import LuceneIndexer

        threads = min(MOST_THREADS, os.cpu_count() or 1)
        self._indexer = LuceneIndexer(args=["-index", str(folder), *flags], threads=threads)
        self.lucene = self._indexer.object.writer

    def add(self, documents: Sequence[Document]) -> None:
        """See `DocumentWriter`."""
        self._indexer.add_batch_dict([{"id": docid, "contents": contents} for docid, contents in documents])


class ImpactWriter:
    """Terms that each stand with their impact, as `impact_text` writes them.

    Anserini repeats a term as often as its impact says, 70,000 characters for a passage of SPLADE's; Lucene's own
    filter reads the number, into the same postings.
    """

    def __init__(self, folder: Path) -> None:
        from jnius import autoclass

        lucene, anserini = "org.apache.lucene", "io.anserini"
        analyser = autoclass(f"{lucene}.analysis.custom.CustomAnalyzer").builder()
        analyser.withTokenizer("whitespace")
        analyser.addTokenFilter("delimitedTermFrequency", "delimiter", DELIMITER)
        config = autoclass(f"{lucene}.index.IndexWriterConfig")(analyser.build())
        config.setSimilarity(autoclass(f"{anserini}.search.similarity.ImpactSimilarity")())
        arguments = autoclass(f"{anserini}.index.IndexCollection$Args")()
        arguments.impact = arguments.pretokenized = True
        self.lucene = autoclass(f"{lucene}.index.IndexWriter")(_directory(folder), config)
        self._generator = autoclass(f"{anserini}.index.generator.DefaultLuceneDocumentGenerator")(arguments)
        self._document = autoclass(f"{anserini}.collection.JsonCollection$Document")

    def add(self, documents: Sequence[Document]) -> None:
        """See `DocumentWriter`."""
        for docid, contents in documents:
            self.lucene.addDocument(
                self._generator.createDocument(self._document.fromFields(docid, contents))
            )


def impact_text(impacts: Iterable[tuple[str, int]]) -> str:
    """A document's contents for `ImpactWriter`: terms and their impacts, each at least 1."""
    return " ".join(f"{term}{DELIMITER}{impact}" for term, impact in impacts)
