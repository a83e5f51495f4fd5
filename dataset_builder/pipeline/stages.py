"""The stages of a build, each of which reads one kind of file and writes the next."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import (
    BuildFolder,
    read_examples,
    read_queries,
    write_examples,
    write_lines,
    write_queries,
)
from dataset_builder.build.growth import queries_before
from dataset_builder.build.settings import BuildSettings
from dataset_builder.dataset import distill20k
from dataset_builder.language_models.live import LiveModel
from dataset_builder.pipeline.recipes import DRAWN, PASSAGES
from dataset_builder.pipeline.resources import Resources, encoding, indexing, labelling, pooling, querying
from dataset_builder.pipeline.stage import ShardedStage, Stage
from dataset_builder.pools.filling import PoolFiller
from dataset_builder.pools.methods import (
    build_index,
    check_ready_indexes,
    encode_share,
    encoders_of_methods,
    index_path,
    indexes_of_methods,
)
from dataset_builder.queries.drawing import open_samplers, shares_to_draw
from dataset_builder.queries.sampler import QueryCounts
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.choice import teachers_of
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.opening import open_teacher
from retrieval.corpus import located_passages, read_corpus
from retrieval.errors import InputError
from retrieval.passage_store import DuplicateDocid, PassageStore
from retrieval.retrievers.encoded_shards import are_encoded, num_shards

# tqdm's own time left takes answers that were there already for this run's pace.
TIMELESS_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class StorePassages(Stage):
    """corpus → passage store."""

    name = "passages"

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The store."""
        return [folder.passages]

    def work(self, rank: int, world_size: int) -> None:
        """Read the corpus once, checking each passage; not at all where another build has."""
        self.parts.provide(PASSAGES, self.folder.passages, self._store)

    def _store(self, path: Path) -> None:
        corpus = self.settings.corpus
        passages = tqdm(read_corpus(corpus), desc="reading the corpus", unit="passage")
        try:
            PassageStore.build(path, passages)
        except DuplicateDocid as duplicate:
            places = [
                place for place, passage in located_passages(corpus) if passage.docid == duplicate.docid
            ]
            where = " and ".join(places[:2])
            raise InputError(
                f"{where}: both have the id {duplicate.docid!r}; ids must be unique"
            ) from duplicate


class EncodePassages(Stage):
    """passage store → the vectors that indexes are made of, in shards that any number of tasks share out."""

    name = "encoding"

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The indexes: they hold the vectors in the end."""
        return [index_path(folder, index) for index in encoders_of_methods(settings)]

    @property
    def is_done(self) -> bool:
        """Whether each index, or all that it is made of, is there."""
        return all(
            index_path(self.folder, index).exists() or self.parts.is_made(index) or self._is_encoded(index)
            for index in encoders_of_methods(self.settings)
        )

    @property
    def max_tasks(self) -> int:
        """As many as there are shards, where that is known already."""
        return (
            num_shards(PassageStore(self.folder.passages)) if self.folder.passages.exists() else sys.maxsize
        )

    def resources(self, execution: Execution) -> Resources:
        """Memory for a model, and a GPU."""
        return encoding(execution)

    def work(self, rank: int, world_size: int) -> None:
        """Encode this task's shards of each index."""
        for index in encoders_of_methods(self.settings):
            encode = partial(encode_share, index, self.folder, self.settings, rank, world_size)
            self.parts.contribute(index, index_path(self.folder, index), rank, encode)

    def _is_encoded(self, index: str) -> bool:
        path = self.parts.path(index, index_path(self.folder, index))
        return self.folder.passages.exists() and are_encoded(PassageStore(self.folder.passages), path)


class IndexPassages(Stage):
    """passage store → the indexes that the retrieval methods search."""

    name = "indexes"

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """Each index, and the list of them, which is written last."""
        own = [index_path(folder, index) for index in indexes_of_methods(settings)]
        return [*own, folder.indexes]

    def resources(self, execution: Execution) -> Resources:
        """Memory for the index."""
        return indexing(execution)

    def work(self, rank: int, world_size: int) -> None:
        """Index every passage, but for the indexes that another build has made."""
        check_ready_indexes(self.folder, self.settings)
        for index in indexes_of_methods(self.settings):
            make = partial(build_index, index, self.folder, self.settings)
            self.parts.provide(index, index_path(self.folder, index), make)
        write_lines(self.folder.indexes, [{"retrievers": self.settings.retrievers}])


class DrawQueries(Stage):
    """passage store → queries."""

    name = "queries"

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The queries and what became of the drawn, which is written last."""
        return [folder.queries, folder.query_counts(settings.draw)]

    def resources(self, execution: Execution) -> Resources:
        """Little, unless a model here writes queries or a retrieval method checks them."""
        return querying(self.settings, self.access, execution)

    def work(self, rank: int, world_size: int) -> None:
        """Draw the queries of each type, to those of earlier draws."""
        passages, draw = PassageStore(self.folder.passages), self.settings.draw
        before = queries_before(self.folder, self.settings)
        counts = json.loads(self.folder.query_counts(draw - 1).read_text()) if draw else {}
        shares = shares_to_draw(self.settings, before)
        with open_samplers(self.folder, self.settings, self.access, passages, shares) as samplers:
            for sampler in samplers:
                sampler.counts = QueryCounts(**counts.get(sampler.query_type, {}))
            drawn = chain.from_iterable(
                sampler.sample(shares[sampler.query_type], before) for sampler in samplers
            )
            progress = tqdm(drawn, total=sum(shares.values()), desc="drawing queries", unit="query")
            write_queries(self.folder.queries, chain(before, progress))
        # Found out now, and not when the labels are paid for.
        distill20k.held_out_sources(list(read_queries(self.folder.queries)), self.settings)
        counts |= {sampler.query_type: asdict(sampler.counts) for sampler in samplers}
        write_lines(self.folder.query_counts(draw), [counts])


class FillPools(ShardedStage):
    """queries → pools. Each query draws from one method, in turn: balanced over method and query type.

    With the `union` setting, each pool interleaves all methods instead.
    """

    name = "pools"

    @staticmethod
    def shard(folder: BuildFolder, number: int) -> Path:
        """The pools of a shard."""
        return folder.pools(number)

    def resources(self, execution: Execution) -> Resources:
        """Memory for an index, and a GPU where a method has a model."""
        return pooling(self.settings, execution)

    def work_on(self, shards: Sequence[int], rank: int, world_size: int) -> None:
        """Retrieve for the queries of these shards."""
        PoolFiller(self.folder, self.settings).fill(shards)


class LabelPools(ShardedStage):
    """pools → rankings, in the teacher's order."""

    name = "rankings"

    @staticmethod
    def shard(folder: BuildFolder, number: int) -> Path:
        """The rankings of a shard."""
        return folder.rankings(number)

    def resources(self, execution: Execution) -> Resources:
        """Much where the teacher runs here, little where a server is asked."""
        return labelling(self.settings, self.access, execution)

    def work_on(self, shards: Sequence[int], rank: int, world_size: int) -> None:
        """Have the teacher order the pools of these shards."""
        # A dataset that is there was made without them.
        self.folder.card.unlink(missing_ok=True)
        pools = [self.folder.pools(number) for number in shards]
        sizes = [sum(1 for _ in read_examples(path)) for path in pools]
        with open_teacher(self.folder, self.settings, self.access, rank, world_size) as teacher:
            live = isinstance(teacher, LLMTeacher) and isinstance(teacher.model, LiveModel)
            bar = TIMELESS_BAR if live else None
            ordering = f"ordering with {teacher.name}"
            labelled = self._labelled(teacher, pools)
            with tqdm(labelled, ordering, sum(sizes), unit="query", bar_format=bar) as progress:
                examples = _with_cost(progress, teacher, sum(sizes))
                for number, size in zip(shards, sizes, strict=True):
                    write_examples(self.folder.rankings(number), islice(examples, size))
                # None is left, but teacher and progress end with their streams.
                next(examples, None)

    def _labelled(self, teacher: Teacher, pools: Sequence[Path]) -> Iterator[RankingExample]:
        """The pools of several files, labelled, in their order.

        Language models are asked about all at once. Other teachers see one file after the other, since what shares a
        batch touches the last digits of their scores.
        """
        if any(each.is_language_model for each in teachers_of(self.settings)):
            return teacher.label(chain.from_iterable(map(read_examples, pools)))
        return chain.from_iterable(teacher.label(read_examples(path)) for path in pools)


class WriteDataset(Stage):
    """rankings → Parquet."""

    name = "dataset"

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The Parquet files, and the card, which is written last."""
        return [folder.data, folder.card]

    def work(self, rank: int, world_size: int) -> None:
        """Build the dataset that `load_dataset` reads. On a cluster, this is the first to see the pools complete."""
        self.parts.publish(DRAWN, self.folder.drawn(self.settings.draw))
        distill20k.write_parquet(self.folder, self.settings, self.access)


STAGES: tuple[type[Stage], ...] = (
    StorePassages,
    EncodePassages,
    IndexPassages,
    DrawQueries,
    FillPools,
    LabelPools,
    WriteDataset,
)


def _with_cost(progress: "tqdm[RankingExample]", teacher: Teacher, total: int) -> Iterator[RankingExample]:
    """The examples as they come; beside the progress is shown how long a language model will still take, and what
    it has cost so far."""
    for example in progress:
        if isinstance(teacher, LLMTeacher):
            model = teacher.model
            progress.set_postfix_str(f"{model.pace.describe(total)}{model.budget}", refresh=False)
        yield example
