"""The stages of a build, each a datatrove `PipelineStep` that reads one kind of file and writes the next."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from tqdm import tqdm

from dataset_builder.build.folder import (
    BuildFolder,
    read_examples,
    read_queries,
    write_examples,
    write_lines,
    write_queries,
)
from dataset_builder.build.settings import UNION, BuildSettings
from dataset_builder.dataset import distill20k
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.live import LiveModel
from dataset_builder.pools.methods import build_indexes, open_retrievers
from dataset_builder.pools.overlap import pool_overlaps
from dataset_builder.pools.pool import with_texts
from dataset_builder.queries.drawing import open_samplers
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.opening import open_teacher
from retrieval.corpus import located_passages, read_corpus
from retrieval.errors import InputError
from retrieval.passage_store import DuplicateDocid, PassageStore
from retrieval.records import Query
from retrieval.retrievers import Retriever
from retrieval.retrievers.interleaved import Interleaved

# tqdm's own time left takes answers that were there already for this run's pace.
TIMELESS_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Stage(PipelineStep):
    """A stage of a build. `run` reads and writes the build's folder; nothing is piped between stages."""

    type = "TWOLAR"
    sharded = False

    def __init__(self, folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> None:
        super().__init__()
        self.folder = folder
        self.settings = settings
        self.access = access

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Do task `rank` of `world_size`; yields nothing."""
        with self.track_time("task"):
            self.work(rank, world_size)
        return iter(())

    def work(self, rank: int, world_size: int) -> None:
        """Do this stage's work for one task."""
        raise NotImplementedError


class StorePassages(Stage):
    """corpus → passage store."""

    name = "passages"

    def work(self, rank: int, world_size: int) -> None:
        """Read the corpus once, checking each passage."""
        corpus = self.settings.corpus
        passages = tqdm(read_corpus(corpus), desc="reading the corpus", unit="passage")
        try:
            PassageStore.build(self.folder.passages, passages)
        except DuplicateDocid as duplicate:
            places = [
                place for place, passage in located_passages(corpus) if passage.docid == duplicate.docid
            ]
            where = " and ".join(places[:2])
            raise InputError(
                f"{where}: both have the id {duplicate.docid!r}; ids must be unique"
            ) from duplicate


class IndexPassages(Stage):
    """passage store → the indexes that the retrieval methods search."""

    name = "indexes"

    def work(self, rank: int, world_size: int) -> None:
        """Index every passage."""
        build_indexes(self.folder, self.settings)


class DrawQueries(Stage):
    """passage store → queries."""

    name = "queries"

    def work(self, rank: int, world_size: int) -> None:
        """Draw the queries of each type."""
        passages = PassageStore(self.folder.passages)
        shares = self.settings.query_shares()
        with open_samplers(self.folder, self.settings, self.access, passages) as samplers:
            drawn = (sampler.sample(shares[sampler.query_type]) for sampler in samplers)
            queries = (query for queries in drawn for query in queries)
            progress = tqdm(queries, total=self.settings.num_queries, desc="drawing queries", unit="query")
            write_queries(self.folder.queries, progress)
            write_lines(self.folder.query_counts, [{s.query_type: asdict(s.counts) for s in samplers}])
        # Found out now, and not when the labels are paid for.
        distill20k.held_out_sources(
            read_queries(self.folder.queries), self.settings.test_fraction, self.settings.seed
        )


class FillPools(Stage):
    """queries → pools. Each query draws from one method, in turn: balanced over method and query type.

    With the `union` setting, each pool interleaves all methods instead.
    """

    name = "pools"
    sharded = True

    def work(self, rank: int, world_size: int) -> None:
        """Retrieve for every `world_size`-th query."""
        retrievers = open_retrievers(self.folder, self.settings)
        queries = list(read_queries(self.folder.queries))
        if rank == 0:
            overlaps = pool_overlaps(retrievers, queries, self.settings.num_passages)
            write_lines(self.folder.overlaps, overlaps)
        numbered = list(zip(_numbers(queries), queries, strict=True))
        progress = tqdm(numbered[rank::world_size], desc="filling pools", unit="query")
        write_examples(self.folder.pools(rank), self._pools(iter(progress), retrievers))

    def _pools(
        self, queries: Iterator[tuple[int, Query]], retrievers: list[Retriever]
    ) -> Iterator[RankingExample]:
        passages = PassageStore(self.folder.passages)
        if self.settings.pool == UNION:
            retrievers = [Interleaved(retrievers)]
        for number, query in queries:
            retriever = retrievers[number % len(retrievers)]
            (hits,) = retriever.search([query.text], self.settings.num_passages)
            found = with_texts(hits, passages)
            if len(found) > 1:
                yield RankingExample(query, retriever.name, found)
            else:
                self.stat_update("dropped: fewer than two passages found")


class LabelPools(Stage):
    """pools → rankings, in the teacher's order."""

    name = "rankings"
    sharded = True

    def work(self, rank: int, world_size: int) -> None:
        """Have the teacher order this task's pools."""
        total = sum(1 for _ in read_examples(self.folder.pools(rank)))
        with open_teacher(self.folder, self.settings, self.access, rank) as teacher:
            labelled = teacher.label(read_examples(self.folder.pools(rank)))
            live = isinstance(teacher, LLMTeacher) and isinstance(teacher.model, LiveModel)
            bar = TIMELESS_BAR if live else None
            ordering = f"ordering with {teacher.name}"
            with tqdm(labelled, ordering, total, unit="query", bar_format=bar) as progress:
                write_examples(self.folder.rankings(rank), _with_cost(progress, teacher, total))


class WriteDataset(Stage):
    """rankings → Parquet."""

    name = "dataset"

    def work(self, rank: int, world_size: int) -> None:
        """Build the dataset that `load_dataset` reads."""
        distill20k.write_parquet(self.folder, self.settings, self.access)


STAGES: tuple[type[Stage], ...] = (
    StorePassages,
    IndexPassages,
    DrawQueries,
    FillPools,
    LabelPools,
    WriteDataset,
)


def _numbers(queries: Sequence[Query]) -> Iterator[int]:
    """Each query's place among those of its type, from 0."""
    so_far: Counter[str] = Counter()
    for query in queries:
        yield so_far[query.query_type]
        so_far[query.query_type] += 1


def _with_cost(progress: "tqdm[RankingExample]", teacher: Teacher, total: int) -> Iterator[RankingExample]:
    """The examples as they come; beside the progress is shown how long a language model will still take, and what
    it has cost so far."""
    for example in progress:
        if isinstance(teacher, LLMTeacher):
            model = teacher.model
            progress.set_postfix_str(f"{model.pace.describe(total)}{model.budget}", refresh=False)
        yield example
