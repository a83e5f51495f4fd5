"""Two stages over a collection: BM25 and the checkpoint's cosine find candidates, TWOLAR puts them in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

import torch
from first_stage import Bm25, Scores, best_first, candidates, stems_of
from late_interaction import Nearest, Text, nearest_words
from passage_vectors import Encoder, PassageVectors, TextVectors
from passages import InputError, Passage, is_unicode
from transformers import PretrainedConfig, PreTrainedTokenizerBase

MAX_QUERY_CHARACTERS = 500


class Ranked(TypedDict):
    """An entry of a reranker's answer. `corpus_id`: the passage's index in the list it was given."""

    corpus_id: int
    score: float


class Reranker(Protocol):
    """What this page needs of any TWOLAR checkpoint."""

    config: PretrainedConfig

    def rank(self, query: str, passages: Sequence[str]) -> list[Ranked]:
        """All passages, most relevant first."""


class EncodingReranker(Encoder, Reranker, Protocol):
    """A checkpoint that encodes query and passage apart."""

    device: torch.device
    dtype: torch.dtype
    tokenizer: PreTrainedTokenizerBase
    encode_query: Callable[[str], TextVectors]

    def rank_encoded(self, query: str, passages: Sequence[TextVectors]) -> list[Ranked]:
        """As `rank`, of passages' vectors."""


class Scorer(Protocol):
    """A checkpoint over one collection. `indices` are of its passages."""

    def cosines(self, query: str) -> Scores | None:
        """(num_passages,), or None for a checkpoint that has no vectors of them."""

    def rank(self, query: str, indices: Sequence[int]) -> list[Ranked]:
        """These passages, most relevant first; a `corpus_id` counts within `indices`."""

    def nearest(self, query: str, index: int) -> Sequence[Nearest]:
        """What late interaction compares in a passage; empty where that is not what scores, or costs a reading."""


class TextScorer:
    """Reads query and passages at each question, whatever the checkpoint."""

    def __init__(self, model: Reranker, passages: Sequence[Passage]) -> None:
        self._model = model
        self._passages = passages

    def cosines(self, query: str) -> None:
        """None."""

    def rank(self, query: str, indices: Sequence[int]) -> list[Ranked]:
        """See `Scorer`."""
        return self._model.rank(query, [self._passages[index].contents for index in indices])

    def nearest(self, query: str, index: int) -> Sequence[Nearest]:
        """Nothing."""
        return ()


class VectorScorer:
    """Reads only the query: the passages' vectors are kept."""

    def __init__(self, model: EncodingReranker, vectors: PassageVectors, passages: Sequence[Passage]) -> None:
        self._model = model
        self._vectors = vectors
        self._passages = passages

    def cosines(self, query: str) -> Scores:
        """See `Scorer`."""
        return self._vectors.pooled @ self._model.encode_query(query).pooled.float().cpu().numpy()

    def rank(self, query: str, indices: Sequence[int]) -> list[Ranked]:
        """See `Scorer`."""
        return self._model.rank_encoded(query, [self._take(index) for index in indices])

    def nearest(self, query: str, index: int) -> Sequence[Nearest]:
        """See `Scorer`."""
        if not self._model.config.late_interaction:
            return ()
        asked = Text(query, self._model.encode_query(query))
        return nearest_words(
            self._model.tokenizer, asked, Text(self._passages[index].contents, self._take(index))
        )

    def _take(self, index: int) -> TextVectors:
        return self._vectors.take(index, self._model.device, self._model.dtype)


@dataclass(frozen=True, slots=True)
class Collection:
    """Passages to search. `name`: for the visitor; `is_bundled`: the Space's own, not a visitor's."""

    name: str
    passages: Sequence[Passage]
    bm25: Bm25
    is_bundled: bool

    @classmethod
    def of(cls, name: str, passages: Sequence[Passage], is_bundled: bool = False) -> "Collection":
        """The passages, indexed."""
        return cls(name, passages, Bm25([passage.contents for passage in passages]), is_bundled)


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A candidate: TWOLAR's rank (from 1) and score (higher is more relevant), and where it stood before.

    `index`: in the collection. `bm25_rank`: among all passages; None where it shares no word with the query.
    `cosine_rank`: among all passages; None where the checkpoint has no vectors of them.
    """

    index: int
    passage: Passage
    bm25_rank: int | None
    cosine_rank: int | None
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Reranking:
    """A query's candidates in a checkpoint's order. `seconds`: of each step, in the order they were taken."""

    query: str
    collection: Collection
    passages: tuple[RankedPassage, ...]
    seconds: dict[str, float]

    def in_bm25_order(self) -> list[RankedPassage]:
        """The candidates that share a word with the query."""
        matched = (passage for passage in self.passages if passage.bm25_rank)
        return sorted(matched, key=lambda passage: passage.bm25_rank or 0)


def rerank(query: str, collection: Collection, scorer: Scorer) -> Reranking:
    """Find candidates and put them in TWOLAR's order.

    Raises:
        InputError: where the query is empty or too long, or nothing was found.
    """
    query = checked_query(query)
    start = time.perf_counter()
    bm25 = collection.bm25.scores(stems_of(query))
    matched = time.perf_counter()
    cosines = scorer.cosines(query)
    compared = time.perf_counter()
    found = candidates(bm25, cosines)
    if not found:
        raise InputError("No passage shares a word with the query; try other words.")
    bm25_ranks = _ranks(bm25)
    cosine_ranks = {} if cosines is None else _ranks(cosines)
    unranked = [
        RankedPassage(
            index=index,
            passage=collection.passages[index],
            bm25_rank=bm25_ranks[index] if bm25[index] > 0 else None,
            cosine_rank=cosine_ranks.get(index),
            rank=0,
            score=0.0,
        )
        for index in found
    ]
    seconds = {"BM25": matched - start} | ({} if cosines is None else {"cosine": compared - matched})
    return reordered(Reranking(query, collection, tuple(unranked), seconds), "TWOLAR", scorer)


def reordered(reranking: Reranking, step: str, scorer: Scorer) -> Reranking:
    """The same candidates in this checkpoint's order; the time it took stands under the name `step`."""
    before = reranking.passages
    start = time.perf_counter()
    ranking = scorer.rank(reranking.query, [ranked.index for ranked in before])
    seconds = reranking.seconds | {step: time.perf_counter() - start}
    passages = tuple(
        replace(before[entry["corpus_id"]], rank=rank, score=entry["score"])
        for rank, entry in enumerate(ranking, start=1)
    )
    return replace(reranking, passages=passages, seconds=seconds)


def checked_query(query: str) -> str:
    """The query without surrounding blanks."""
    if not isinstance(query, str):
        raise InputError("The query is no text.")
    query = query.strip()
    if not query:
        raise InputError("The query is empty; type a question or a few words.")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(f"The query has {len(query):,} characters; shorten it to {MAX_QUERY_CHARACTERS}.")
    if not is_unicode(query):
        raise InputError("The query holds characters that are not valid text; type it again.")
    return query


def _ranks(scores: Scores) -> dict[int, int]:
    return {index: rank for rank, index in enumerate(best_first(scores), start=1)}
