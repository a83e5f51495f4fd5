"""Builds and opens, over a build's passages, the retrieval methods that its settings name."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from tqdm import tqdm

from dataset_builder.decontamination import ExcludedQueries
from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder
from dataset_builder.passage_store import PassageStore
from dataset_builder.records import QUERY_TYPES
from dataset_builder.retrievers import Retriever
from dataset_builder.retrievers.dense import (
    DenseRetriever,
    Encoder,
    build_faiss_index,
    cosine_encoder,
    dragon_encoder,
)
from dataset_builder.retrievers.lucene import BM25, BM25RM3, build_lucene_index, locate_index
from dataset_builder.retrievers.reranked import BM25Reranked, MonoT5
from dataset_builder.retrievers.splade import Splade, build_impact_index, splade_encoder
from dataset_builder.settings import BuildSettings

# Which index each method searches.
INDEX_OF = {
    "bm25": "lucene",
    "bm25_rm3": "lucene",
    "bm25_monot5": "lucene",
    "splade": "splade",
    "dragon": "dragon",
    "minilm": "minilm",
    "bm25_minilm": "minilm",
}

# Which models each method and query type needs, by their settings.
MODELS_OF = {
    "splade": ("splade",),
    "dragon": ("dragon_context", "dragon_query"),
    "bm25_monot5": ("monot5",),
    "minilm": ("encoder",),
    "bm25_minilm": ("encoder",),
    "doct5query": ("doct5query",),
}


def build_indexes(folder: BuildFolder, settings: BuildSettings) -> None:
    """Build what the methods of `settings.retrievers` search; an index that is there is kept."""
    passages = PassageStore(folder.passages)
    wanted = {INDEX_OF[name] for name in settings.retrievers}
    if any(name.startswith("bm25") for name in settings.retrievers):
        _prepare_bm25(folder, settings, passages)
    if "splade" in wanted and not folder.splade.exists():
        build_impact_index(passages, splade_encoder(settings.splade), folder.splade)
    for index in sorted(wanted & {"dragon", "minilm"}):
        if not folder.faiss(index).exists():
            build_faiss_index(passages, _encoder(index, settings), folder.faiss(index), settings.faiss_index)


def _prepare_bm25(folder: BuildFolder, settings: BuildSettings, passages: PassageStore) -> None:
    if settings.bm25_index:
        locate_index(settings.bm25_index, len(passages))
    elif not folder.lucene.exists():
        progress = tqdm(passages, total=len(passages), desc="indexing with Lucene", unit="passage")
        build_lucene_index(progress, folder.lucene)


def open_retrievers(
    folder: BuildFolder, settings: BuildSettings, names: Sequence[str] | None = None
) -> list[Retriever]:
    """The retrieval methods called `names`, in that order; by default those of `settings.retrievers`."""
    methods = _Methods(folder, settings)
    openers: dict[str, Callable[[], Retriever]] = {
        "bm25": lambda: methods.bm25,
        "bm25_rm3": lambda: BM25RM3(methods.lucene),
        "splade": lambda: Splade(folder.splade, splade_encoder(settings.splade)),
        "dragon": lambda: methods.dense("dragon"),
        "minilm": lambda: methods.minilm,
        "bm25_minilm": lambda: methods.reranked("bm25_minilm", methods.minilm),
        "bm25_monot5": lambda: methods.reranked("bm25_monot5", MonoT5(settings.monot5)),
    }
    return [openers[name]() for name in (settings.retrievers if names is None else names)]


def check_settings(settings: BuildSettings) -> None:
    """Find what is wrong with the methods and query types before a build begins.

    Raises:
        InputError: for one that is not known, or whose model the settings do not name, or an evaluation set that
            cannot be read.
    """
    for query_type in settings.query_shares():
        if query_type not in QUERY_TYPES:
            raise InputError(f"query type {query_type!r} is not known; give some of {', '.join(QUERY_TYPES)}")
    ExcludedQueries.read(settings.exclude_queries)
    for name in settings.retrievers:
        if name not in INDEX_OF:
            raise InputError(f"retrieval method {name!r} is not known; give some of {', '.join(INDEX_OF)}")
    for name in [*settings.retrievers, *settings.query_shares()]:
        missing = [f"--{flag}" for flag in MODELS_OF.get(name, ()) if not getattr(settings, flag)]
        if missing:
            raise InputError(f"{name!r} needs {' and '.join(missing)}: a Hub name or a folder")


def models_of(settings: BuildSettings) -> list[str]:
    """The models, each once, that the methods and query types of a build need."""
    names = [*settings.retrievers, *settings.query_shares()]
    flags = [flag for name in names for flag in MODELS_OF.get(name, ())]
    return list(dict.fromkeys(getattr(settings, flag) for flag in flags))


class _Methods:
    """What several methods of one build share."""

    def __init__(self, folder: BuildFolder, settings: BuildSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._passages = PassageStore(folder.passages)

    @cached_property
    def lucene(self) -> Path:
        index = self._settings.bm25_index
        return locate_index(index, len(self._passages)) if index else self._folder.lucene

    @cached_property
    def bm25(self) -> BM25:
        return BM25(self.lucene)

    @cached_property
    def minilm(self) -> DenseRetriever:
        return self.dense("minilm")

    def dense(self, name: str) -> DenseRetriever:
        return DenseRetriever(name, self._folder.faiss(name), _encoder(name, self._settings), self._passages)

    def reranked(self, name: str, scorer: DenseRetriever | MonoT5) -> BM25Reranked:
        return BM25Reranked(name, self.bm25, scorer, self._passages)


def _encoder(index: str, settings: BuildSettings) -> Encoder:
    if index == "dragon":
        return dragon_encoder(settings.dragon_context, settings.dragon_query)
    return cosine_encoder(settings.encoder)
