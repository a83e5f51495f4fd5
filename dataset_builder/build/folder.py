"""Where a build keeps its files. Top level: what is published. `build/`: the stages' own files."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from retrieval.records import Passage, Query


@dataclass(frozen=True, slots=True)
class BuildFolder:
    """The paths of one build."""

    root: Path

    @property
    def data(self) -> Path:
        """Parquet files of the dataset."""
        return self.root / "data"

    @property
    def card(self) -> Path:
        """The dataset card."""
        return self.root / "README.md"

    @property
    def build(self) -> Path:
        """Everything that is not published."""
        return self.root / "build"

    @property
    def settings(self) -> Path:
        """The settings this build was begun with."""
        return self.build / "settings.json"

    @property
    def lock(self) -> Path:
        """Held by the process that builds here."""
        return self.build / "lock"

    @property
    def holder(self) -> Path:
        """Who that is."""
        return self.build / "holder.txt"

    @property
    def of_no_build(self) -> tuple[Path, ...]:
        """What may lie in `build/` where nothing is built: a lock, and answers that were paid for."""
        return (self.lock, self.holder, self.answers)

    @property
    def passages(self) -> Path:
        """The passage store."""
        return self.build / "passages.sqlite"

    @property
    def lucene(self) -> Path:
        """The Lucene index."""
        return self.build / "lucene"

    @property
    def splade(self) -> Path:
        """The Lucene index of SPLADE's impacts."""
        return self.build / "splade"

    def faiss(self, name: str) -> Path:
        """The Faiss index of the bi-encoder called `name`."""
        return self.build / f"{name}.faiss"

    @property
    def indexes(self) -> Path:
        """Which methods' indexes are there."""
        return self.build / "indexes.json"

    @property
    def queries(self) -> Path:
        """All queries, in order."""
        return self.build / "queries.jsonl"

    def query_counts(self, draw: int = 0) -> Path:
        """How many queries were kept and dropped, by type, in this draw and those before it."""
        return self.build / ("query_counts.json" if draw == 0 else f"query_counts-{draw}.json")

    @property
    def overlaps(self) -> Path:
        """How much the methods' pools have in common."""
        return self.build / "overlaps.jsonl"

    def found(self, method: str, part: str) -> Path:
        """What a retrieval method found for a part of the queries; gone when its pools are there."""
        return self.build / "found" / method / f"{part}.jsonl"

    def poolless(self, shard: int) -> Path:
        """The queries of a shard that found no pool."""
        return self.build / "poolless" / f"{shard:05d}.jsonl"

    def pools(self, shard: int) -> Path:
        """The pools of a shard's queries."""
        return self.build / "pools" / f"{shard:05d}.jsonl"

    def rankings(self, shard: int) -> Path:
        """The labelled pools of a shard."""
        return self.build / "rankings" / f"{shard:05d}.jsonl"

    def drawn(self, draw: int) -> tuple[Path, ...]:
        """The queries up to this draw and their pools, with what is told of them."""
        return (
            self.queries,
            *map(self.query_counts, range(draw + 1)),
            self.overlaps,
            self.poolless(0).parent,
            self.pools(0).parent,
        )

    @property
    def answers(self) -> Path:
        """Every answer that a language model was paid for."""
        return self.build / "answers"

    @property
    def ledger(self) -> Path:
        """What was paid, reserved and learnt of servers."""
        return self.build / "ledger.sqlite"

    def batches(self, rank: int, world_size: int) -> Path:
        """What task `rank` of `world_size` has submitted to a batch API."""
        return self.build / "batches" / f"{rank:05d}-of-{world_size:05d}"

    def batches_of_other_runs(self, world_size: int) -> list[Path]:
        """What tasks have submitted in runs of another number of tasks."""
        own, queries = f"*-of-{world_size:05d}", self.batches_of_queries
        found = sorted(self.batches_of_queries.parent.glob("*"))
        return [path for path in found if path != queries and not path.match(own)]

    @property
    def batches_of_queries(self) -> Path:
        """What was submitted to a batch API for written queries."""
        return self.build / "batches" / "queries"

    def logs(self, stage: str) -> Path:
        """datatrove's logs, statistics and completion marks of a stage."""
        return self.build / "logs" / stage


def write_queries(path: Path, queries: Iterable[Query]) -> None:
    """Write queries as JSONL, aside and renamed."""
    write_lines(path, (asdict(query) for query in queries))


def read_queries(path: Path) -> Iterator[Query]:
    """Read what `write_queries` wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Query(**json.loads(line))


def write_examples(path: Path, examples: Iterable[RankingExample]) -> None:
    """Write ranking examples as JSONL, aside and renamed."""
    write_lines(path, (asdict(example) for example in examples))


def read_examples(path: Path) -> Iterator[RankingExample]:
    """Read what `write_examples` wrote."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield _example(line)


def all_pools(folder: BuildFolder) -> Iterator[RankingExample]:
    """The pools of every shard that is done."""
    yield from chain.from_iterable(map(read_examples, sorted(folder.pools(0).parent.glob("*.jsonl"))))


def all_poolless(folder: BuildFolder) -> Iterator[Query]:
    """The queries that found no pool, of every shard that is done."""
    yield from chain.from_iterable(map(read_queries, sorted(folder.poolless(0).parent.glob("*.jsonl"))))


def all_rankings(folder: BuildFolder) -> Iterator[RankingExample]:
    """The labelled pools of every shard that is done."""
    yield from chain.from_iterable(map(read_examples, sorted(folder.rankings(0).parent.glob("*.jsonl"))))


def write_lines(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write one JSON object a line to `path`, aside first and then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    os.replace(unfinished, path)


def _example(line: str) -> RankingExample:
    row = json.loads(line)
    row["query"] = Query(**row["query"])
    row["passages"] = tuple(
        RetrievedPassage(**{**found, "passage": Passage(**found["passage"])}) for found in row["passages"]
    )
    for name in ("teacher_order", "teacher_scores"):
        # Pools of the first release have no scores.
        row[name] = None if row.get(name) is None else tuple(row[name])
    return RankingExample(**row)
