"""Queries made out of passages, without a hand-written one: cropped sentences and keywords.

Both are pure functions of a passage store and a seed: the same seed gives the same queries. `doc2query.py` has
those that a T5 writes.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

from dataset_builder.errors import InputError
from dataset_builder.passage_store import PassageStore
from dataset_builder.records import Passage, Query

MIN_CROPPED_WORDS, MAX_CROPPED_WORDS = 4, 32
MIN_KEYWORDS, MAX_KEYWORDS = 2, 5
DOCUMENT_FREQUENCY_SAMPLE = 20_000
DRAWS_PER_QUERY = 50

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_WORD = re.compile(r"[^\W\d_]{3,}")

MakeQuery = Callable[[Passage, random.Random], str | None]
WriteQueries = Callable[[Sequence[Passage], random.Random], list[str | None]]
IsConsistent = Callable[[Sequence[tuple[str, Passage]]], list[bool]]


@dataclass(slots=True)
class QueryCounts:
    """What happened while queries were drawn, for the dataset card."""

    kept: int = 0
    near_empty: int = 0
    duplicate: int = 0
    excluded: int = 0
    inconsistent: int = 0


@dataclass(slots=True)
class QuerySampler:
    """Draws queries of one type from random passages; drops and counts near-empty, duplicate, excluded and
    inconsistent ones.

    `write_queries`: queries of several passages, and the random numbers it may use; None where a passage gives
    none. `batch_size`: how many passages it is given at once. `consistent`: tells of queries, each with the passage it
    was written for, which of them find it.
    """

    passages: PassageStore
    query_type: str
    write_queries: WriteQueries
    seed: int
    excluded: Container[str] = ()
    batch_size: int = 1
    consistent: IsConsistent | None = None
    counts: QueryCounts = field(default_factory=QueryCounts)

    def sample(self, num_queries: int) -> Iterator[Query]:
        """Yield `num_queries` distinct queries.

        Raises:
            InputError: where the corpus does not yield that many in 50 draws a query.
        """
        rng = random.Random(f"{self.seed} {self.query_type}")
        seen: set[str] = set()
        for _ in range(0, num_queries * DRAWS_PER_QUERY, self.batch_size):
            for query in self._draw(rng, seen):
                yield query
                self.counts.kept += 1
                if self.counts.kept == num_queries:
                    return
        raise InputError(
            f"the corpus ({len(self.passages)} passages) yields only {self.counts.kept} distinct "
            f"{self.query_type} queries of the {num_queries} asked for; lower --num_queries"
        )

    def _draw(self, rng: random.Random, seen: set[str]) -> Iterator[Query]:
        drawn = [self.passages.at(rng.randrange(len(self.passages))) for _ in range(self.batch_size)]
        written = list(zip(self.write_queries(drawn, rng), drawn, strict=True))
        self.counts.near_empty += sum(text is None for text, _ in written)
        queries = [(text, passage) for text, passage in written if text is not None]
        consistent = self.consistent(queries) if self.consistent else [True] * len(queries)
        for (text, passage), finds_it in zip(queries, consistent, strict=True):
            if text.lower() in seen:
                self.counts.duplicate += 1
            elif text in self.excluded:
                self.counts.excluded += 1
            elif not finds_it:
                self.counts.inconsistent += 1
            else:
                seen.add(text.lower())
                yield Query(f"{self.query_type}-{self.counts.kept}", text, self.query_type, passage.docid)


def one_by_one(make_query: MakeQuery) -> WriteQueries:
    """Makes the queries of several passages one after the other."""
    return lambda passages, rng: [make_query(passage, rng) for passage in passages]


def cropped_sentence(passage: Passage, rng: random.Random) -> str | None:
    """A random sentence of the passage, cut to 32 words; None where the one drawn has fewer than 4.

    Source: TWOLAR, section 3.1, after DRAGON's cropped sentences.
    """
    words = rng.choice(_SENTENCE_END.split(passage.text)).split()
    return " ".join(words[:MAX_CROPPED_WORDS]) if len(words) >= MIN_CROPPED_WORDS else None


@dataclass(frozen=True, slots=True)
class Keywords:
    """Keyword queries: 2 to 5 of a passage's words of highest TF-IDF, in the passage's order.

    The offline stand-in for docT5query. A word of one passage only is left out: it would find nothing else.
    """

    document_frequency: Counter[str]

    @classmethod
    def from_corpus(cls, passages: PassageStore, seed: int) -> "Keywords":
        """Count document frequencies over at most 20,000 random passages, so that memory stays flat."""
        rng = random.Random(f"{seed} document frequency")
        total = len(passages)
        rows = rng.sample(range(total), min(total, DOCUMENT_FREQUENCY_SAMPLE))
        frequency: Counter[str] = Counter()
        for row in rows:
            frequency.update(set(_words(passages.at(row))))
        return cls(frequency)

    def __call__(self, passage: Passage, rng: random.Random) -> str | None:
        """Keywords drawn from the best words of `passage`; None where it has fewer than 2."""
        weights = self._tf_idf(passage)
        wanted = rng.randint(MIN_KEYWORDS, MAX_KEYWORDS)
        best = sorted(weights, key=lambda word: (-weights[word], word))[: 2 * wanted]
        if len(best) < MIN_KEYWORDS:
            return None
        chosen = set(rng.sample(best, min(wanted, len(best))))
        return " ".join(word for word in weights if word in chosen)

    def _tf_idf(self, passage: Passage) -> dict[str, float]:
        frequency = self.document_frequency
        counts = Counter(word for word in _words(passage) if frequency[word] > 1)
        return {word: count / math.log1p(frequency[word]) for word, count in counts.items()}


def _words(passage: Passage) -> list[str]:
    return _WORD.findall(passage.text.lower())
