"""queries → pools. One retrieval method is loaded at a time, asked for all its queries, and freed."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dataset_builder.build.folder import (
    BuildFolder,
    read_queries,
    write_examples,
    write_lines,
    write_queries,
)
from dataset_builder.build.growth import by_draw, in_shards
from dataset_builder.build.settings import UNION, BuildSettings
from dataset_builder.pools.choosing import choose
from dataset_builder.pools.methods import free_models, open_retrievers
from dataset_builder.pools.overlap import pool_overlaps, sample
from dataset_builder.pools.pool import with_texts
from dataset_builder.ranking_example import RankingExample
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.records import Hit, Query
from retrieval.retrievers.interleaved import interleaved

# The queries that methods are compared on, beside the shards.
SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Turn:
    """A query, and the retrieval methods whose turn it is: one, or all."""

    query: Query
    methods: tuple[str, ...]


def turns(queries: Sequence[Query], settings: BuildSettings) -> list[Turn]:
    """Whose turn it is for each query: one method after the other among those of its type, so that pools are balanced
    over method and query type; with the `union` setting all methods, always."""
    so_far: Counter[str] = Counter()
    methods, taken = tuple(settings.retrievers), []
    for query in queries:
        turn = methods[so_far[query.query_type] % len(methods)]
        taken.append(Turn(query, methods if settings.pool == UNION else (turn,)))
        so_far[query.query_type] += 1
    return taken


class PoolFiller:
    """Fills the pools of shards. A shard is an even part of the queries, so pools are the same whoever fills them.

    What a method found is kept until the shard's pools are there: a run that was killed goes on at that method and
    shard.
    """

    def __init__(self, folder: BuildFolder, settings: BuildSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._queries = list(read_queries(folder.queries))
        self._shards = in_shards(turns(self._queries, settings), settings)

    def fill(self, shards: Sequence[int]) -> None:
        """Fill the pools of `shards`; with the first of all come the overlaps of the methods.

        Raises:
            InputError: where other shards are there that the release before filled: it shared queries out otherwise.
        """
        self._refuse_other_shards()
        parts = {self._folder.pools(shard).stem: self._shards[shard] for shard in shards}
        if 0 in shards:
            parts[SAMPLE] = [
                Turn(query, tuple(self._settings.retrievers)) for query in sample(self._first_drawn())
            ]
        for method in self._settings.retrievers:
            self._search(method, parts)
        if 0 in shards:
            self._write_overlaps(parts[SAMPLE])
        passages = PassageStore(self._folder.passages)
        for shard in shards:
            self._write_pools(shard, passages)

    def _refuse_other_shards(self) -> None:
        pools = self._folder.pools(0).parent
        if any(not (self._folder.poolless(0).parent / path.name).is_file() for path in pools.glob("*.jsonl")):
            raise InputError(
                f"some of {pools} is of an earlier release, which shared queries out otherwise; delete the folder and "
                f"{self._folder.rankings(0).parent}, and build again: paid answers are kept"
            )

    def _first_drawn(self) -> Sequence[Query]:
        return by_draw(self._queries, self._settings.earlier_draws)[0]

    def _search(self, method: str, parts: Mapping[str, Sequence[Turn]]) -> None:
        """Ask `method` for its queries of each part, but for those it was asked before."""
        own = {
            part: [turn.query for turn in taken if method in turn.methods] for part, taken in parts.items()
        }
        missing = [part for part in parts if own[part] and not self._folder.found(method, part).is_file()]
        if not missing:
            return
        (retriever,) = open_retrievers(self._folder, self._settings, [method])
        total = sum(len(own[part]) for part in missing)
        with tqdm(total=total, desc=f"searching with {method}", unit="query") as progress:
            for part in missing:
                texts = [query.text for query in own[part]]
                hits = retriever.search(texts, self._settings.search_depth)
                _write_found(self._folder.found(method, part), own[part], hits)
                progress.update(len(texts))
        del retriever
        free_models()

    def _write_overlaps(self, sampled: Sequence[Turn]) -> None:
        found = self._found(SAMPLE)
        size = self._settings.num_passages
        lists = {
            method: [hits[turn.query.query_id][:size] for turn in sampled] for method, hits in found.items()
        }
        write_lines(self._folder.overlaps, pool_overlaps(lists))
        self._forget(SAMPLE)

    def _write_pools(self, shard: int, passages: PassageStore) -> None:
        part = self._folder.pools(shard).stem
        write_examples(self._folder.pools(shard), self._pools(shard, self._found(part), passages))
        self._forget(part)

    def _pools(
        self, shard: int, found: Mapping[str, Mapping[str, list[Hit]]], passages: PassageStore
    ) -> Iterator[RankingExample]:
        without: list[Query] = []
        for turn in self._shards[shard]:
            lists = [found[method][turn.query.query_id] for method in turn.methods]
            is_union = self._settings.pool == UNION
            hits = interleaved(lists, self._settings.search_depth) if is_union else lists[0]
            pool = choose(with_texts(hits, passages), turn.query.source_docid, self._settings)
            if len(pool) > 1:
                yield RankingExample(turn.query, UNION if is_union else turn.methods[0], pool)
            else:
                without.append(turn.query)
        # Before the file of pools gets its name, which says that the shard is done.
        write_queries(self._folder.poolless(shard), without)

    def _found(self, part: str) -> dict[str, dict[str, list[Hit]]]:
        methods = self._settings.retrievers
        return {method: _read_found(self._folder.found(method, part)) for method in methods}

    def _forget(self, part: str) -> None:
        for method in self._settings.retrievers:
            self._folder.found(method, part).unlink(missing_ok=True)


def _write_found(path: Path, queries: Sequence[Query], found: Sequence[Sequence[Hit]]) -> None:
    rows = zip(queries, found, strict=True)
    write_lines(
        path,
        (
            {"query_id": query.query_id, "hits": [[hit.docid, hit.score] for hit in hits]}
            for query, hits in rows
        ),
    )


def _read_found(path: Path) -> dict[str, list[Hit]]:
    """The hits of each query; none of a method that had no turn."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        rows = map(json.loads, file)
        return {row["query_id"]: [Hit(*hit) for hit in row["hits"]] for row in rows}
