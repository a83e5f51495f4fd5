"""The retrieval methods of a build: one record each, and what builds and opens them over its passages."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from tqdm import tqdm

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.retrievers import Retriever
from retrieval.retrievers.dense import (
    DenseRetriever,
    Encoder,
    build_faiss_index,
    cosine_encoder,
    dense_shards,
    dragon_encoder,
)
from retrieval.retrievers.lucene import BM25, BM25RM3, build_lucene_index
from retrieval.retrievers.ready_index import Rows, ready_faiss, ready_lucene
from retrieval.retrievers.reranked import BM25Reranked, MonoT5, PairScorer
from retrieval.retrievers.splade import (
    Splade,
    SpladeEncoder,
    build_impact_index,
    splade_encoder,
    splade_shards,
)

LUCENE, SPLADE, DRAGON, MINILM = "lucene", "splade", "dragon", "minilm"
# The settings that name an index which is there already, in place of one that a build makes.
READY = {LUCENE: "bm25_index", SPLADE: "splade_index", DRAGON: "dragon_index", MINILM: "encoder_index"}


@dataclass(frozen=True, slots=True)
class Method:
    """A retrieval method.

    `indexes`: what it searches. `models`: the settings that name its models; a licence belongs to a model and stands
    in `licences.yaml`. `open`: makes it of a build's indexes.
    """

    indexes: tuple[str, ...]
    models: tuple[str, ...]
    open: Callable[["Indexes"], Retriever]


# In the order of the dataset's ClassLabel.
METHODS: Mapping[str, Method] = {
    "bm25": Method((LUCENE,), (), lambda indexes: indexes.bm25),
    "splade": Method((SPLADE,), ("splade",), lambda indexes: indexes.splade),
    "dragon": Method((DRAGON,), ("dragon_context", "dragon_query"), lambda indexes: indexes.dense(DRAGON)),
    "bm25_monot5": Method(
        (LUCENE,),
        ("monot5",),
        lambda indexes: indexes.bm25_monot5,
    ),
    "bm25_rm3": Method((LUCENE,), (), lambda indexes: BM25RM3(indexes.lucene, indexes.language)),
    "minilm": Method((MINILM,), ("encoder",), lambda indexes: indexes.minilm),
    "bm25_minilm": Method(
        (LUCENE, MINILM), ("encoder",), lambda indexes: indexes.reranked("bm25_minilm", indexes.minilm)
    ),
}


def check_methods(settings: BuildSettings) -> None:
    """Find what is wrong with the methods before a build begins.

    Raises:
        InputError: for one that is not known, or whose model the settings do not name.
    """
    for name in settings.retrievers:
        if name not in METHODS:
            raise InputError(f"retrieval method {name!r} is not known; give some of {', '.join(METHODS)}")
        require_models(name, METHODS[name].models, settings)


def require_models(name: str, models: Sequence[str], settings: BuildSettings) -> None:
    """Raise `InputError` where a setting is empty that names a model of `name`."""
    missing = [f"--{model}" for model in models if not getattr(settings, model)]
    if missing:
        raise InputError(f"{name!r} needs {' and '.join(missing)}: a Hub name or a folder")


def models_of_methods(settings: BuildSettings) -> list[str]:
    """The models, each once, that the methods of a build need; an imported run needs none."""
    flags = [flag for name in settings.retrievers if name in METHODS for flag in METHODS[name].models]
    return list(dict.fromkeys(getattr(settings, flag) for flag in flags))


def encoders_of_methods(settings: BuildSettings) -> dict[str, str]:
    """The model that encodes every passage, for each index of a build that has one."""
    encoders = {SPLADE: settings.splade, DRAGON: settings.dragon_context, MINILM: settings.encoder}
    return {index: encoders[index] for index in indexes_of_methods(settings) if index in encoders}


def indexes_of_methods(settings: BuildSettings) -> list[str]:
    """What the methods of a build search, by name; not an index that the settings name."""
    return [index for index in _searched(settings) if not ready_index(index, settings)]


def ready_index(index: str, settings: BuildSettings) -> str:
    """The folder or name that the settings have for an index which is there already, or ""."""
    named: str = getattr(settings, READY[index])
    return named


def _searched(settings: BuildSettings) -> Sequence[str]:
    return list(dict.fromkeys(index for name in settings.retrievers for index in METHODS[name].indexes))


def index_path(folder: BuildFolder, index: str) -> Path:
    """Where a build has the index of this name."""
    return {LUCENE: folder.lucene, SPLADE: folder.splade}.get(index, folder.faiss(index))


def encode_share(
    index: str, folder: BuildFolder, settings: BuildSettings, rank: int, world_size: int, path: Path
) -> None:
    """Encode the shards of task `rank` that the index of this name is to be made of, at `path`.

    Raises:
        InputError: for an index that this machine has no room for.
    """
    passages = PassageStore(folder.passages)
    if index == SPLADE:
        splade_shards(passages, splade_of(settings), path).encode_missing(rank, world_size)
    else:
        shards = dense_shards(passages, encoder_of(index, settings), path, settings.faiss_index)
        shards.encode_missing(rank, world_size)


def build_index(index: str, folder: BuildFolder, settings: BuildSettings, path: Path) -> None:
    """Write the index of this name to `path`."""
    passages = PassageStore(folder.passages)
    if index == LUCENE:
        progress = tqdm(passages, total=len(passages), desc="indexing with Lucene", unit="passage")
        build_lucene_index(progress, path, settings.language)
    elif index == SPLADE:
        build_impact_index(passages, splade_of(settings), path)
    else:
        build_faiss_index(passages, encoder_of(index, settings), path, settings.faiss_index)


def check_ready_indexes(folder: BuildFolder, settings: BuildSettings) -> None:
    """Raise `InputError` where an index that the settings name is none of the passages."""
    indexes = Indexes(folder, settings)
    for index in _searched(settings):
        if ready_index(index, settings):
            indexes.at(index)


def open_retrievers(
    folder: BuildFolder, settings: BuildSettings, names: Sequence[str] | None = None
) -> list[Retriever]:
    """The retrieval methods called `names`, in that order; by default those of `settings.retrievers`."""
    indexes = Indexes(folder, settings)
    return [METHODS[name].open(indexes) for name in (settings.retrievers if names is None else names)]


def free_models() -> None:
    """Let go of the encoders that `open_retrievers` keeps loaded, and of the GPU's memory that they held."""
    for kept in (cosine_encoder, dragon_encoder, splade_encoder):
        kept.cache_clear()
    gc.collect()
    torch.cuda.empty_cache()


class Indexes:
    """The indexes of one build, each opened once, and what several methods share."""

    def __init__(self, folder: BuildFolder, settings: BuildSettings) -> None:
        self._settings = settings
        self._folder = folder
        self._passages = PassageStore(folder.passages)
        self._places: dict[str, tuple[Path, Rows]] = {}

    @property
    def language(self) -> str:
        """Of the passages, and of the Lucene index."""
        return self._settings.language

    def at(self, index: str) -> tuple[Path, Rows]:
        """Where the index of this name lies, the build's own or one that the settings name, and its rows.

        Raises:
            InputError: for one that cannot be had, or is none of the passages.
        """
        if index not in self._places:
            self._places[index] = self._place(index)
        return self._places[index]

    def _place(self, index: str) -> tuple[Path, Rows]:
        named, flag = ready_index(index, self._settings), f"--{READY[index]}"
        if not named:
            return index_path(self._folder, index), self._passages
        if index in (LUCENE, SPLADE):
            return ready_lucene(flag, named, len(self._passages)), self._passages
        return ready_faiss(flag, named, self._passages)

    @property
    def lucene(self) -> Path:
        """The folder of BM25's index."""
        return self.at(LUCENE)[0]

    @cached_property
    def bm25(self) -> BM25:
        """BM25, also the first stage of what is reranked."""
        return BM25(self.lucene, self.language)

    @cached_property
    def minilm(self) -> DenseRetriever:
        """The bi-encoder, also a scorer of what BM25 found."""
        return self.dense(MINILM)

    @property
    def bm25_monot5(self) -> BM25Reranked:
        """The paper's BM25 + monoT5."""
        return self.reranked("bm25_monot5", MonoT5(self._settings.monot5))

    @property
    def splade(self) -> Splade:
        """SPLADE over its impacts."""
        return Splade(self.at(SPLADE)[0], splade_of(self._settings))

    def dense(self, name: str) -> DenseRetriever:
        """The Faiss index called `name` and its encoder."""
        path, rows = self.at(name)
        return DenseRetriever(name, path, encoder_of(name, self._settings), rows)

    def reranked(self, name: str, scorer: PairScorer) -> BM25Reranked:
        """BM25's best, in the order of `scorer`."""
        return BM25Reranked(name, self.bm25, scorer, self._passages)


def encoder_of(index: str, settings: BuildSettings) -> Encoder:
    """The bi-encoder of the Faiss index of this name, loaded once."""
    if index == DRAGON:
        return dragon_encoder(settings.dragon_context, settings.dragon_query, settings.encoder_dtype)
    return cosine_encoder(settings.encoder, settings.encoder_dtype)


def splade_of(settings: BuildSettings) -> SpladeEncoder:
    """SPLADE, loaded once."""
    return splade_encoder(settings.splade, settings.encoder_dtype)
