"""Opens, over a build's indexes, the retrieval methods that its settings name."""

from collections.abc import Callable

from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder
from dataset_builder.passage_store import PassageStore
from dataset_builder.retrievers import Retriever
from dataset_builder.retrievers.dense import DenseRetriever, load_encoder
from dataset_builder.retrievers.lucene import BM25, BM25RM3
from dataset_builder.retrievers.reranked import BM25MiniLM
from dataset_builder.settings import BuildSettings


def open_retrievers(folder: BuildFolder, settings: BuildSettings) -> list[Retriever]:
    """The retrieval methods of `settings.retrievers`, in that order.

    Raises:
        InputError: for a method that is not known.
    """
    return [_open(name, folder, settings) for name in settings.retrievers]


def _open(name: str, folder: BuildFolder, settings: BuildSettings) -> Retriever:
    openers: dict[str, Callable[[], Retriever]] = {
        "bm25": lambda: BM25(folder.lucene),
        "bm25_rm3": lambda: BM25RM3(folder.lucene),
        "minilm": lambda: _dense(folder, settings),
        "bm25_minilm": lambda: BM25MiniLM(BM25(folder.lucene), _dense(folder, settings)),
    }
    if name not in openers:
        raise InputError(f"retrieval method {name!r} is not known; give some of {', '.join(openers)}")
    return openers[name]()


def _dense(folder: BuildFolder, settings: BuildSettings) -> DenseRetriever:
    return DenseRetriever(folder.faiss, load_encoder(settings.encoder), PassageStore(folder.passages))
