"""Two stages over a collection: BM25 finds candidates, TWOLAR puts them in order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

import bm25s
import numpy as np
from passages import InputError, Passage, is_unicode

MAX_QUERY_CHARACTERS = 500
NUM_CANDIDATES = 50


class Ranked(TypedDict):
    """An entry of a reranker's answer. `corpus_id`: the passage's index in the list it was given."""

    corpus_id: int
    score: float


class Reranker(Protocol):
    """What this page needs of a TWOLAR checkpoint."""

    def rank(self, query: str, passages: Sequence[str]) -> list[Ranked]:
        """All passages, most relevant first."""


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A candidate's rank (from 1) and score (higher is more relevant) in both columns of the page.

    `other_*`: BM25's, or a second checkpoint's.
    """

    passage: Passage
    other_rank: int
    other_score: float
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Reranking:
    """A query's candidates in TWOLAR's order, and what either side took."""

    query_words: frozenset[str]
    passages: tuple[RankedPassage, ...]
    num_searched: int
    other_seconds: float
    reranking_seconds: float


class FirstStage:
    """BM25 over a collection held in memory."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages
        words = [words_of(passage.contents) for passage in passages]
        self._index: bm25s.BM25 | None = None
        if any(words):
            self._index = bm25s.BM25()
            self._index.index(words, show_progress=False)

    def candidates(self, query_words: list[str]) -> list[tuple[Passage, float]]:
        """The best passages and their scores; ties keep the collection's order.

        Of a large collection those that share a word with the query, of a small one all.
        """
        scores = np.zeros(len(self.passages))
        if self._index is not None and query_words:
            scores = self._index.get_scores(query_words)
        order = np.argsort(-scores, kind="stable")[:NUM_CANDIDATES]
        small = len(self.passages) <= NUM_CANDIDATES
        return [(self.passages[index], float(scores[index])) for index in order if small or scores[index] > 0]


def words_of(text: str) -> list[str]:
    """The words BM25 matches: lowercased, English stop words left out."""
    return bm25s.tokenize(text, return_ids=False, show_progress=False)[0]


def rerank(query: str, first_stage: FirstStage, reranker: Reranker) -> Reranking:
    """Find candidates and put them in TWOLAR's order.

    Raises:
        InputError: where the query is empty or too long, or nothing was found.
    """
    query = checked_query(query)
    start = time.perf_counter()
    query_words = words_of(query)
    candidates = first_stage.candidates(query_words)
    if not candidates:
        raise InputError("No passage shares a word with the query; try other words.")
    found = time.perf_counter()
    ranking = reranker.rank(query, [passage.contents for passage, _ in candidates])
    reranked = time.perf_counter()
    return Reranking(
        query_words=frozenset(query_words),
        passages=tuple(
            RankedPassage(*_with_rank(candidates, entry["corpus_id"]), rank, entry["score"])
            for rank, entry in enumerate(ranking, start=1)
        ),
        num_searched=len(first_stage.passages),
        other_seconds=found - start,
        reranking_seconds=reranked - found,
    )


def beside(reranking: Reranking, query: str, reranker: Reranker) -> Reranking:
    """The reranking beside a second checkpoint's instead of the first stage's, over the same candidates."""
    start = time.perf_counter()
    ranking = reranker.rank(query, [ranked.passage.contents for ranked in reranking.passages])
    seconds = time.perf_counter() - start
    places = {entry["corpus_id"]: (rank, entry["score"]) for rank, entry in enumerate(ranking, start=1)}
    return replace(
        reranking,
        passages=tuple(
            replace(ranked, other_rank=places[index][0], other_score=places[index][1])
            for index, ranked in enumerate(reranking.passages)
        ),
        other_seconds=seconds,
    )


def checked_query(query: str) -> str:
    """The query without surrounding blanks."""
    query = query.strip()
    if not query:
        raise InputError("The query is empty; type a question or a few words.")
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InputError(f"The query has {len(query):,} characters; shorten it to {MAX_QUERY_CHARACTERS}.")
    if not is_unicode(query):
        raise InputError("The query holds characters that are not valid text; type it again.")
    return query


def _with_rank(candidates: list[tuple[Passage, float]], index: int) -> tuple[Passage, int, float]:
    passage, score = candidates[index]
    return passage, index + 1, score
