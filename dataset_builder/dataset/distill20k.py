"""The `datasets` builder: a build's rankings become Parquet, which `load_dataset` reads with no code.

`datasets` 4 and later refuse loading scripts in a dataset repository, so this builder stays here and
what is published is its output.
"""

import hashlib
import os
import random
import shutil
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import datasets

from dataset_builder.build.folder import (
    BuildFolder,
    all_poolless,
    all_rankings,
    read_examples,
    read_queries,
)
from dataset_builder.build.growth import by_draw
from dataset_builder.build.settings import BuildSettings
from dataset_builder.dataset.card import SPLITS, write_card
from dataset_builder.dataset.features import FEATURES
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.queries.sampler import TooFewQueries
from dataset_builder.ranking_example import RankingExample
from retrieval.errors import InputError
from retrieval.records import Query

Row = dict[str, object]
# Query, query type, method, and the teacher's scores as they lie in Parquet: float32, best first.
RowKey = tuple[str, str, str, bytes]


@dataclass
class Distill20kConfig(datasets.BuilderConfig):
    """`root`: the build's folder; `settings`: say how the test split is drawn."""

    root: str = ""
    settings: BuildSettings | None = None


class Distill20k(datasets.GeneratorBasedBuilder):
    """Rankings in the public row's form, one row a query, its passages in the teacher's order."""

    BUILDER_CONFIG_CLASS = Distill20kConfig

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(features=FEATURES)

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        folder = BuildFolder(Path(self.config.root))
        held_out = held_out_sources(list(read_queries(folder.queries)), self.config.settings)
        return [
            datasets.SplitGenerator(
                name, gen_kwargs={"folder": folder, "held_out": held_out, "test": name == "test"}
            )
            for name in SPLITS
            # `load_dataset` refuses a split without rows.
            if any(self._generate_examples(folder, held_out, name == "test"))
        ]

    def _generate_examples(
        self, folder: BuildFolder, held_out: set[str], test: bool
    ) -> Iterator[tuple[int, Row]]:
        for number, example in enumerate(_examples_in_order(folder)):
            if example.teacher_order is None:
                continue
            if (_source(example.query) in held_out) == test:
                yield number, row(example)


def row(example: RankingExample) -> Row:
    """The public row of a labelled example: passages in the teacher's order, `rank` from 1, `teacher_score` None
    where the teacher gave only an order."""
    if example.teacher_order is None:
        raise ValueError(f"query {example.query.query_id!r} has no teacher order ({example.label_status})")
    scores = example.teacher_scores or (None,) * len(example.passages)
    ordered = [(example.passages[index], scores[index]) for index in example.teacher_order]
    return {
        "query_id": example.query.query_id,
        "query": example.query.text,
        "query_type": example.query.query_type,
        "source_docid": example.query.source_docid,
        "retriever": example.retriever,
        "retrieved_passages": [
            {
                "docid": found.passage.docid,
                "title": found.passage.title,
                "text": found.passage.text,
                "rank": rank,
                "teacher_score": score,
                "retriever_rank": found.retriever_rank,
                "retriever_score": found.retriever_score,
            }
            for rank, (found, score) in enumerate(ordered, start=1)
        ],
        "teacher": example.teacher,
        "label_status": example.label_status,
        "repaired_places": example.repaired_places,
    }


def write_parquet(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> None:
    """Write `data/*.parquet` and the dataset card, aside and renamed."""
    unfinished = folder.root / "data.unfinished"
    for path in (unfinished, folder.data):
        shutil.rmtree(path, ignore_errors=True)
    builder = Distill20k(
        cache_dir=str(folder.build / "cache"),
        root=str(folder.root),
        settings=settings,
    )
    builder.download_and_prepare(output_dir=str(unfinished), file_format="parquet")
    (unfinished / "dataset_info.json").unlink()
    for lock in folder.root.glob("data.unfinished*.lock"):
        lock.unlink()
    check_rows(unfinished, folder)
    _name_by_content(unfinished)
    os.replace(unfinished, folder.data)
    write_card(folder, settings, access)


def check_rows(data: Path, folder: BuildFolder) -> None:
    """Read the Parquet files back and hold them against the rankings, and those against the queries drawn.

    Raises:
        InputError: where a query was drawn and has neither a ranking nor found too few passages for one, or has two.
        RuntimeError: where a row is missing or doubled, its ranks are not 1 to n, its scores are not the teacher's,
            or methods and query types do not have the rows that the rankings gave them.
    """
    _check_queries(folder)
    expected = Counter(
        _expected_key(example) for example in all_rankings(folder) if example.teacher_order is not None
    )
    found: Counter[RowKey] = Counter()
    for file in sorted(data.glob("*.parquet")):
        for written in datasets.Dataset.from_parquet(str(file), features=FEATURES, streaming=True):
            ranks = [passage["rank"] for passage in written["retrieved_passages"]]
            if ranks != list(range(1, len(ranks) + 1)):
                raise RuntimeError(f"query {written['query_id']!r} has the ranks {ranks} in {file.name}")
            found[_key(written)] += 1
    if found != expected:
        wrong = sorted((found - expected) + (expected - found))
        first = [names for *names, _ in wrong[:3]]
        raise RuntimeError(f"{len(wrong)} rows of {data} do not match the rankings, first {first}")


def _check_queries(folder: BuildFolder) -> None:
    rankings = Counter(example.query.query_id for example in all_rankings(folder))
    poolless = {query.query_id for query in all_poolless(folder)}
    lost = [
        query.query_id
        for query in read_queries(folder.queries)
        if query.query_id not in rankings and query.query_id not in poolless
    ]
    twice = [query_id for query_id, count in rankings.items() if count > 1]
    # The release before did not note which queries found no pool.
    wrong = twice + (lost if folder.poolless(0).parent.is_dir() else [])
    if wrong:
        raise InputError(
            f"{len(wrong)} of the queries in {folder.queries} have no ranking or two, as {wrong[0]!r}; delete "
            f"{folder.pools(0).parent} and {folder.rankings(0).parent} and build again: paid answers are kept"
        )


def _expected_key(example: RankingExample) -> RowKey:
    best_first = array("f", sorted(example.teacher_scores or (), reverse=True))
    return (example.query.query_id, example.query.query_type, example.retriever, best_first.tobytes())


def _key(written: Row) -> RowKey:
    query_type, retriever = FEATURES["query_type"], FEATURES["retriever"]
    passages = cast(list[Row], written["retrieved_passages"])
    scores = [passage["teacher_score"] for passage in passages if passage["teacher_score"] is not None]
    return (
        str(written["query_id"]),
        query_type.int2str(written["query_type"]),
        retriever.int2str(written["retriever"]),
        array("f", cast(list[float], scores)).tobytes(),
    )


def _name_by_content(data: Path) -> None:
    """Name each file `{split}-00000-of-00001-{digest}.parquet`.

    `load_dataset` caches a folder under its name and its card's file names alone: without the digest, a
    dataset that was built anew would be read from the cache of the old one.
    """
    for split in SPLITS:
        files = sorted(data.glob(f"*-{split}*.parquet"))
        for number, file in enumerate(files):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
            file.rename(data / f"{split}-{number:05d}-of-{len(files):05d}-{digest}.parquet")


def _examples_in_order(folder: BuildFolder) -> Iterator[RankingExample]:
    """The rankings of all shards in the order of the queries, which is that of each shard too."""
    shards = [read_examples(path) for path in sorted(folder.rankings(0).parent.glob("*.jsonl"))]
    waiting = {example.query.query_id: (example, shard) for shard in shards for example in islice(shard, 1)}
    for query in read_queries(folder.queries):
        if query.query_id in waiting:
            example, shard = waiting.pop(query.query_id)
            yield example
            waiting |= {following.query.query_id: (following, shard) for following in islice(shard, 1)}


def _source(query: Query) -> str:
    """What keeps queries in one split: their passage, or their text where it was made of none."""
    return query.source_docid or query.text


def held_out_sources(queries: Sequence[Query], settings: BuildSettings) -> set[str]:
    """Sources of the test split: no passage gives queries to both splits. Where a build has grown, those of earlier
    draws stay on their side, and of the new ones the same share is held out.

    Raises:
        InputError: where there are too few.
    """
    fraction, known, held_out = settings.test_fraction, set[str](), set[str]()
    for draw, drawn in enumerate(by_draw(queries, settings.earlier_draws)):
        new = [source for source in dict.fromkeys(map(_source, drawn)) if source not in known]
        count = round(fraction * len(new))
        if fraction and draw == 0 and not 0 < count < len(new):
            raise TooFewQueries(
                f"{len(new)} source passages cannot give a test split of {fraction:.0%}; raise --num_queries, or give "
                "--test_fraction 0"
            )
        rng = random.Random(f"{settings.seed} test split" + (f" {draw}" if draw else ""))
        known.update(new)
        held_out |= set(rng.sample(new, count))
    return held_out
