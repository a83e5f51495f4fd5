"""What the stages that are still to be done will take, judged by a sample of the corpus on this machine."""

import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

import torch

from dataset_builder.build.artifacts import BuildParts
from dataset_builder.build.folder import BuildFolder, all_rankings
from dataset_builder.build.settings import DOCT5QUERY, UNION, BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.recipes import DRAWN, PASSAGES
from dataset_builder.pools.methods import (
    LUCENE,
    SPLADE,
    encoder_of,
    free_models,
    index_path,
    indexes_of_methods,
    splade_of,
)
from dataset_builder.queries.doc2query import DocT5Query
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teacher_name import LIKELIHOOD, RERANKER, TeacherName
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.choice import teachers_of
from dataset_builder.teachers.costs import estimates
from dataset_builder.teachers.reranker import open_reranker
from retrieval.corpus import PYTHON_STDLIB, read_corpus
from retrieval.corpus_size import estimated_size
from retrieval.device import best_device
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Passage, Query
from retrieval.retrievers.faiss_index import GB, require_room, room_needed
from retrieval.retrievers.reranked import RERANK_DEPTH, MonoT5

# Passages that are looked at, and about how many seconds each model may work on them.
SAMPLE, SECONDS = 510, 2.0
QUERY_WORDS, POOLS = 8, 16
# Lucene on one core, and bytes of its index, by `python -m benchmarks.scale` (benchmarks/LOG.md).
TERMS_A_SECOND, BYTES_A_WORD, BYTES_AN_IMPACT = 180_000, 8.0, 1.0
# Of passages' text, SQLite's share; of a SPLADE shard, bytes an impact.
STORE_GROWTH, SHARD_BYTES_AN_IMPACT = 1.3, 6.0

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a part of a build will take. `seconds`: of one task here; `memory` and `disk`: bytes."""

    what: str
    seconds: float = 0.0
    memory: float = 0.0
    disk: float = 0.0

    def __str__(self) -> str:
        """A line."""
        takes = [_duration(self.seconds)] if self.seconds else []
        takes += [f"{self.memory / GB:.1f} GB of memory"] if self.memory else []
        takes += [f"{self.disk / GB:.1f} GB of disk"] if self.disk >= GB / 20 else []
        return f"  {self.what}" + (f": {', '.join(takes)}" if takes else "")


class Forecast:
    """Looks ahead of one build. What is there already takes nothing."""

    def __init__(
        self, folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, parts: BuildParts
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._access = access
        self._parts = parts

    def expected(self) -> list[Expected]:
        """What is still to be made will take, part by part.

        Raises:
            InputError: for what this machine has no room for, a corpus that cannot be read or a model that cannot be
                loaded.
        """
        parts = [*self._passages(), *self._indexes(), *self._queries(), *self._pools(), *self._rankings()]
        free_models()
        needed = sum(part.disk for part in parts)
        root = self._parts.artifacts.root
        root.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(root).free):
            raise InputError(
                f"the parts of this build take {needed / GB:.1f} GB of disk, and {root} has {free / GB:.1f} GB free; "
                "name a larger disk by --artifacts, or compress vectors by --faiss_index ivf_pq"
            )
        return parts

    @cached_property
    def _store(self) -> PassageStore | None:
        found = self._parts.found(PASSAGES, self._folder.passages)
        return PassageStore(found) if found else None

    @cached_property
    def _sample(self) -> list[Passage]:
        stored = self._store
        if stored is not None:
            rows = random.Random(0).sample(range(len(stored)), min(SAMPLE, len(stored)))
            return [stored.at(row) for row in rows]
        corpus = read_corpus(self._settings.corpus)
        return list(islice((passage for passage in corpus if passage.contents), SAMPLE))

    @cached_property
    def _num_passages(self) -> int:
        """Of the corpus; where it is not stored yet, about, and 0 where that is not known before it is read."""
        if self._store is not None:
            return len(self._store)
        if self._settings.corpus == PYTHON_STDLIB:
            return sum(1 for _ in read_corpus(PYTHON_STDLIB))
        return estimated_size(self._settings.corpus) or 0

    def _mean(self, count: Callable[[str], int]) -> float:
        return sum(count(passage.contents) for passage in self._sample) / len(self._sample)

    def _passages(self) -> Iterator[Expected]:
        if not self._num_passages:
            yield Expected("passages and indexes: known when the corpus is read")
        elif self._store is None:
            size = STORE_GROWTH * self._num_passages * self._mean(lambda text: len(text.encode()))
            yield Expected(f"passages: about {self._num_passages:,} to store", disk=size)

    def _indexes(self) -> Iterator[Expected]:
        for index in indexes_of_methods(self._settings) if self._num_passages else ():
            if self._parts.found(index, index_path(self._folder, index)) is None:
                yield self._lucene() if index == LUCENE else self._encoded(index)

    def _lucene(self) -> Expected:
        words = self._num_passages * self._mean(lambda text: len(text.split()))
        return Expected("index lucene", words / TERMS_A_SECOND, disk=words * BYTES_A_WORD)

    def _encoded(self, index: str) -> Expected:
        texts, number = [passage.contents for passage in self._sample], self._num_passages
        if index == SPLADE:
            encode = splade_of(self._settings).passages
            speed = rate(encode, texts)
            impacts = number * encode(texts[:8]).nnz / len(texts[:8])
            disk = impacts * (SHARD_BYTES_AN_IMPACT + BYTES_AN_IMPACT)
            return Expected(
                f"index {index}: {speed:,.1f} passages/s",
                number / speed + impacts / TERMS_A_SECOND,
                disk=disk,
            )
        vectors, kind = encoder_of(index, self._settings).passages, self._settings.faiss_index
        dimension, speed = vectors(texts[:1]).shape[1], rate(vectors, texts)
        require_room(kind, number, dimension, self._parts.artifacts.root / index)
        room = room_needed(kind, number, dimension)
        return Expected(f"index {index}: {speed:,.1f} passages/s", number / speed, room.memory, room.disk)

    def _queries(self) -> Iterator[Expected]:
        share = self._settings.query_shares().get(DOCT5QUERY, 0)
        if share and self._parts.found(DRAWN, self._folder.queries) is None:
            write = DocT5Query(self._settings.doct5query, self._settings.language)
            speed = rate(lambda passages: write(passages, random.Random(0)), self._sample)
            yield Expected(f"queries: {speed:,.1f} of {DOCT5QUERY}/s", share / speed)

    def _pools(self) -> Iterator[Expected]:
        settings = self._settings
        if "bm25_monot5" not in settings.retrievers or self._parts.found(DRAWN, self._folder.queries):
            return
        turns = settings.num_queries / (1 if settings.pool == UNION else len(settings.retrievers))
        scorer = MonoT5(settings.monot5)
        speed = rate(lambda passages: scorer.scores(_query_of(passages[0]), passages), self._sample)
        yield Expected(f"pools: {speed:,.1f} pairs of monoT5/s", turns * RERANK_DEPTH / speed)

    def _rankings(self) -> Iterator[Expected]:
        settings, folder = self._settings, self._folder
        if all(folder.rankings(shard).is_file() for shard in range(settings.num_shards)):
            return
        pools = self._sample_pools()
        left = settings.num_queries - sum(1 for _ in all_rankings(folder))
        for teacher in teachers_of(settings):
            if teacher.kind in (RERANKER, LIKELIHOOD):
                speed = rate(_labelling(teacher), pools)
                yield Expected(f"rankings: {teacher}, {speed:,.1f} pools/s", left / speed)
        for teacher, estimate in estimates(folder, settings, self._access, lambda: pools):
            yield Expected(f"rankings: {teacher}, about {estimate.scaled(left / len(pools))}")

    def _sample_pools(self) -> list[RankingExample]:
        size = min(self._settings.num_passages, len(self._sample))
        starts = range(0, min(POOLS * size, len(self._sample) - size + 1), size)
        return [_pool(self._sample[start : start + size], start) for start in starts]


def rate(work: Callable[[Sequence[Item]], object], items: Sequence[Item]) -> float:
    """How many items a second `work` does where nothing runs beside it. It is given more and more at once, other items
    each time, until that takes long enough to be measured."""
    work(items[:1])
    first, number, speed = 0, min(2, len(items)), 0.0
    while first + number <= len(items):
        begun = _clock()
        work(items[first : first + number])
        took = _clock() - begun
        speed = number / took
        if took > SECONDS / 2:
            break
        first, number = first + number, 2 * number
    return speed


def _clock() -> float:
    """Seconds; without a GPU those of processor time a thread, as other programs' turns are not to count."""
    is_gpu = best_device().type == "cuda"
    return time.perf_counter() if is_gpu else time.process_time() / torch.get_num_threads()


def described(expected: Sequence[Expected]) -> str:
    """A line for each part, what they take together, and what that is judged by."""
    total = Expected(
        "altogether, by one task here",
        sum(part.seconds for part in expected),
        max((part.memory for part in expected), default=0.0),
        sum(part.disk for part in expected),
    )
    basis = (
        f"  (by {SAMPLE} passages at most, on {best_device()}, with nothing beside it; searching, drawing other "
        "queries and a server's pace are not in it; --tasks share out all but Lucene and Faiss)"
    )
    return "\n".join([*map(str, expected), str(total), basis])


def _labelling(teacher: TeacherName) -> Callable[[Sequence[RankingExample]], object]:
    # Imported where it is needed: it takes seconds, and most commands do without.
    from dataset_builder.teachers.likelihood import open_likelihood

    opened: Teacher
    opened = open_reranker(teacher.model) if teacher.kind == RERANKER else open_likelihood(teacher.model)
    return lambda pools: list(opened.label(pools))


def _pool(passages: Sequence[Passage], number: int) -> RankingExample:
    found = tuple(RetrievedPassage(passage, rank, 0.0) for rank, passage in enumerate(passages, start=1))
    return RankingExample(Query(str(number), _query_of(passages[0])), "", found)


def _query_of(passage: Passage) -> str:
    return " ".join(passage.contents.split()[:QUERY_WORDS])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
