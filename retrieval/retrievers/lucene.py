"""BM25 over a Lucene index, and BM25 with RM3 expansion, through Pyserini."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from retrieval.fields import without_half_surrogates
from retrieval.language import ENGLISH
from retrieval.records import Hit, Passage
from retrieval.retrievers.jvm import start_jvm
from retrieval.retrievers.lucene_index import TextWriter, write_lucene_index
from retrieval.segmentation import words

SEARCH_THREADS = 2
# Language → Lucene's analyser, by Anserini's name. Of other languages words are told apart at blanks, unstemmed.
ANALYSERS = dict.fromkeys(("nb", "nn"), "no") | {
    name: name
    for name in (
        "ar", "bn", "da", "de", "es", "fa", "fi", "fr", "hi", "hu", "id", "it", "ja", "ko", "nl", "no", "pl", "pt",
        "ru", "sv", "te", "tr", "uk", "zh",
    )
}  # fmt: skip
# Lucene needs for Thai what few Java runtimes have, and has nothing for the others: words are told apart before.
SEGMENTED = ("th", "km", "lo", "my")


def build_lucene_index(passages: Iterable[Passage], index_dir: Path, language: str = ENGLISH) -> None:
    """Index `passages` (title and text) with Anserini's defaults for their language and document vectors, aside and
    renamed.

    Raises:
        InputError: where Lucene did not take all of them.
    """
    analyser = ["-language", ANALYSERS[language]] if language in ANALYSERS else []
    documents = ((passage.docid, _analysable(passage.contents, language)) for passage in passages)
    write_lucene_index(documents, index_dir, partial(TextWriter, flags=["-storeDocvectors", *analyser]))


def _analysable(text: str, language: str) -> str:
    return " ".join(words(text, language)) if language in SEGMENTED else text


class BM25:
    """BM25 over a Lucene index, with Anserini's defaults (k1 0.9, b 0.4). Ties are broken by docid.

    `language`: the one that the index was built for.
    """

    name = "bm25"

    def __init__(self, index_dir: Path, language: str = ENGLISH) -> None:
        start_jvm()
        from pyserini.search.lucene import LuceneSearcher

        self._language = language
        self._searcher = LuceneSearcher(str(index_dir))
        if language in ANALYSERS:
            self._searcher.set_language(ANALYSERS[language])

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The `k` best passages for each query. A query with no indexable word finds nothing."""
        query_ids = [str(number) for number in range(len(queries))]
        texts = [_analysable(without_half_surrogates(query), self._language) for query in queries]
        found = self._searcher.batch_search(texts, query_ids, k=k, threads=SEARCH_THREADS)
        return [[Hit(hit.docid, hit.score) for hit in found.get(query_id, [])] for query_id in query_ids]


class BM25RM3(BM25):
    """BM25 with RM3 pseudo-relevance feedback: the offline stand-in for SPLADE's term expansion."""

    name = "bm25_rm3"

    def __init__(self, index_dir: Path, language: str = ENGLISH) -> None:
        super().__init__(index_dir, language)
        self._searcher.set_rm3()
