"""What Pyserini fetches for a collection of its tables, into its own cache: topics, judgments, indexes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.pyserini_tables import Condition, TabledCollection
from retrieval.errors import InputError
from retrieval.retrievers.jvm import start_jvm

TOPICS_URL = "https://github.com/castorini/anserini-tools/tree/master/topics-and-qrels"


def fetch_topics(collection: TabledCollection) -> dict[str, str]:
    """Query id → text of all topics, downloaded where they are not in Pyserini's cache.

    Raises:
        InputError: where that fails; it says what is missing, how large it is, and how to give it.
    """
    start_jvm()
    from pyserini.search import get_topics

    with _downloading("the topics", collection, collection.bm25):
        topics = get_topics(collection.bm25.option("topics"))
    return {str(query_id): topic["title"] for query_id, topic in topics.items()}


def fetch_qrels(collection: TabledCollection) -> Path:
    """The TREC judgments. Raises as `fetch_topics`."""
    start_jvm()
    from pyserini.search import get_qrels_file

    with _downloading("the judgments", collection, collection.bm25):
        return Path(get_qrels_file(collection.qrels))


def fetch_index(collection: TabledCollection, condition: Condition) -> str:
    """The folder of the index that a condition searches. Raises as `fetch_topics`."""
    start_jvm()
    from pyserini.util import download_prebuilt_index

    with _downloading(f"the index {condition.option('index')}", collection, condition):
        return download_prebuilt_index(condition.option("index"), verbose=False)


@contextmanager
def _downloading(what: str, collection: TabledCollection, condition: Condition) -> Iterator[None]:
    from jnius import JavaException

    try:
        yield
    # AssertionError: Pyserini's answer to a file of the wrong size or checksum.
    except (OSError, ValueError, AssertionError, JavaException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{collection.name}: {what} could not be downloaded ({reason}). {_needs(collection, condition)}"
        ) from error


def _needs(collection: TabledCollection, condition: Condition) -> str:
    from pyserini.util import get_cache_home

    bm25, cache = collection.bm25, get_cache_home()
    names = dict.fromkeys([bm25.option("index"), condition.option("index")])
    return (
        f"Needed: {'; '.join(_describe(name, cache) for name in names)}; topics {bm25.option('topics')} and "
        f"qrels {collection.qrels} (under 10 MB, from {TOPICS_URL} to ~/.cache/pyserini/topics-and-qrels). "
        "Offline: give your own with --index FOLDER --topics FILE --qrels FILE, or set PYSERINI_CACHE to "
        "a cache that holds the indexes"
    )


def _describe(index: str, cache: str) -> str:
    from pyserini import prebuilt_index_info as tables

    known = {**tables.TF_INDEX_INFO, **tables.IMPACT_INDEX_INFO}
    known |= {**tables.LUCENE_HNSW_INDEX_INFO, **tables.LUCENE_FLAT_INDEX_INFO, **tables.FAISS_INDEX_INFO}
    info = known[index]
    url, gigabytes = info["urls"][0], info["size compressed (bytes)"] / 1e9
    folder = re.sub(r"\.tar\.gz.*$", "", url.split("/")[-1])
    return f"index {index} ({gigabytes:.2f} GB, {url}, unpacked at {cache}/indexes/{folder}.{info['md5']})"
