"""Which passages of a method's list make a query's pool: by default the first ones, as in the paper."""

from collections.abc import Sequence

from dataset_builder.build.settings import SOURCE_IN, SOURCE_OUT, BuildSettings
from dataset_builder.ranking_example import RetrievedPassage
from retrieval.segmentation import ngrams, words

# Words in a row that near-duplicates have in common.
SHINGLE = 3

Shingles = set[tuple[str, ...]]


def choose(
    found: Sequence[RetrievedPassage], source_docid: str, settings: BuildSettings
) -> tuple[RetrievedPassage, ...]:
    """The pool of `num_passages` at most, by rank.

    Args:
        found: the method's list, as deep as `settings.search_depth`.
        source_docid: of the passage that the query was made of; "" where there is none.
    """
    if settings.source_passage == SOURCE_OUT:
        found = [one for one in found if one.passage.docid != source_docid]
    must_have = source_docid if settings.source_passage == SOURCE_IN else ""
    if settings.near_duplicates < 1:
        found = _without_near_duplicates(found, must_have, settings)
    num_head = settings.pool_head or settings.num_passages
    head, below = found[:num_head], found[num_head:]
    pool = [*head, *_evenly(below, settings.num_passages - len(head))]
    source = [one for one in found if one.passage.docid == must_have and one not in pool]
    return tuple(_by_rank([*pool[: len(pool) - len(source)], *source]))


def _without_near_duplicates(
    found: Sequence[RetrievedPassage], must_have: str, settings: BuildSettings
) -> list[RetrievedPassage]:
    """Of passages that are alike, the one that the pool must have stays, or else the first one found."""
    kept: list[tuple[RetrievedPassage, Shingles]] = []
    for one in sorted(found, key=lambda one: one.passage.docid != must_have):
        shingles = _shingles(one.passage.contents, settings.language)
        if all(_jaccard(shingles, other) < settings.near_duplicates for _, other in kept):
            kept.append((one, shingles))
    return _by_rank([one for one, _ in kept])


def _shingles(text: str, language: str) -> Shingles:
    """Every `SHINGLE` words in a row; of a shorter text all of its words."""
    own = words(text.casefold(), language)
    return set(ngrams(own, SHINGLE)) or {tuple(own)}


def _jaccard(one: Shingles, other: Shingles) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _evenly(found: Sequence[RetrievedPassage], number: int) -> Sequence[RetrievedPassage]:
    """`number` of them, from the middles of as many even parts."""
    if number >= len(found):
        return found
    return [found[(2 * place + 1) * len(found) // (2 * number)] for place in range(number)]


def _by_rank(found: Sequence[RetrievedPassage]) -> list[RetrievedPassage]:
    return sorted(found, key=lambda one: one.retriever_rank)
