"""Rankings that a language model has given already, as TREC runs, become a dataset in TWOLAR's form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from dataset_builder.build.claim import Identity, claimed
from dataset_builder.build.folder import BuildFolder, write_examples, write_lines, write_queries
from dataset_builder.build.meaning import setting_meanings
from dataset_builder.build.settings import GIVEN, BuildSettings
from dataset_builder.dataset import distill20k
from dataset_builder.dataset.distill20k import held_out_sources
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.identity import begun_contents, corpus_content
from dataset_builder.queries.sampler import QueryCounts
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teacher_name import RUN
from dataset_builder.teachers import labelled
from dataset_builder.teachers.ensemble import as_found, together
from retrieval.content import Contents
from retrieval.corpus import read_corpus
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.queries import read_queries
from retrieval.records import Passage, Query
from retrieval.trec_run import Run, read_ranked_run

QUERY_TYPE, RETRIEVER = GIVEN, "run"


@dataclass(frozen=True, slots=True)
class Import:
    """What is imported. `first_stage`: the run that the runs reranked; without it, a passage's first-stage place
    is taken from the ranking itself. `fuse`: all runs together give one ranking a query of the first stage's passages,
    each with its weight (none: all alike); None: each run gives its own."""

    runs: list[Path]
    queries: Path
    corpus: str
    output_dir: str
    first_stage: Path | None = None
    fuse: Sequence[float] | None = None
    num_passages: int = 100
    test_fraction: float = 0.0
    seed: int = 42
    license: str = "unknown"


def import_runs(wanted: Import) -> None:
    """Write the dataset and its card. A run's scores are often just its ranks: `teacher_score` is null unless runs are
    fused.

    Raises:
        InputError: for a file that cannot be read or contradicts itself, a query or passage that has no text, two runs
            of one name, or an occupied folder. Nothing is written then.
    """
    runs = _named_runs(wanted.runs)
    texts = read_queries(wanted.queries)
    first_stage = read_ranked_run(wanted.first_stage) if wanted.first_stage else None
    passages = _passages(wanted, runs, first_stage)
    if wanted.fuse is None:
        examples = list(_examples(runs, first_stage, texts, passages, wanted))
    else:
        examples = list(_fused_examples(runs, _pools(wanted, first_stage), texts, passages, wanted))
    folder, settings = BuildFolder(Path(wanted.output_dir)), _settings(wanted, len(examples))
    held_out_sources([example.query for example in examples], settings)
    contents = begun_contents(folder)
    with claimed(folder, settings, _identity(wanted, settings, contents), contents.looked_at):
        PassageStore.build(folder.passages, passages.values())
        _write(folder, settings, examples)


def _identity(wanted: Import, settings: BuildSettings, contents: Contents) -> Identity:
    named: dict[str, object] = {
        "corpus": corpus_content(wanted.corpus, contents),
        "given queries": contents.of(wanted.queries),
    }
    files = [*wanted.runs, *([wanted.first_stage] if wanted.first_stage else [])]
    named |= {"runs": [contents.of(path) for path in files]}
    if wanted.fuse is not None:
        named["fuse"] = list(wanted.fuse)
    return setting_meanings(settings) | named


def _write(folder: BuildFolder, settings: BuildSettings, examples: Sequence[RankingExample]) -> None:
    write_queries(folder.queries, (example.query for example in examples))
    write_lines(folder.query_counts(), [{QUERY_TYPE: asdict(QueryCounts(kept=len(examples)))}])
    write_lines(folder.overlaps, [])
    write_examples(folder.rankings(0), examples)
    distill20k.write_parquet(folder, settings, TeacherAccess())


def _named_runs(paths: Sequence[Path]) -> list[tuple[str, Run]]:
    """Each run with its file's name, which its rows have for a teacher."""
    twice = next(
        (path for number, path in enumerate(paths) if path.stem in {p.stem for p in paths[:number]}), None
    )
    if twice is not None:
        raise InputError(f"--runs {twice}: another run is called {twice.stem!r} too; rename one of the files")
    return [(path.stem, read_ranked_run(path)) for path in paths]


def _pools(wanted: Import, first_stage: Run | None) -> Run:
    """The run whose passages are ranked where runs are fused.

    Raises:
        InputError: where there is none, or the weights are not one a run.
    """
    if first_stage is None:
        raise InputError("--fuse ranks the passages of --first_stage; name that run")
    if wanted.fuse and len(wanted.fuse) != len(wanted.runs):
        raise InputError(f"--fuse has {len(wanted.fuse)} weights for {len(wanted.runs)} runs; give one a run")
    return first_stage


def _settings(wanted: Import, num_queries: int) -> BuildSettings:
    return BuildSettings(
        corpus=wanted.corpus,
        num_queries=num_queries,
        query_types=[QUERY_TYPE],
        retrievers=[RETRIEVER],
        num_passages=wanted.num_passages,
        teacher=f"{RUN}:{', '.join(path.name for path in wanted.runs)}",
        encoder="",
        test_fraction=wanted.test_fraction,
        seed=wanted.seed,
        output_dir=wanted.output_dir,
        license=wanted.license,
        num_shards=1,
    )


def _passages(wanted: Import, runs: Sequence[tuple[str, Run]], first_stage: Run | None) -> dict[str, Passage]:
    """The passages that are ranked, by id: a corpus of millions is read, not kept."""
    pools = [first_stage] if first_stage and wanted.fuse is not None else [run for _, run in runs]
    named = {hit.docid for run in pools for hits in run.values() for hit in hits}
    passages: dict[str, Passage] = {}
    for passage in tqdm(read_corpus(wanted.corpus), "reading the corpus", unit="passage"):
        if passage.docid in passages:
            raise InputError(f"passage {passage.docid!r} is twice in {wanted.corpus}; ids must be unique")
        if passage.docid in named and passage.contents:
            passages[passage.docid] = passage
    missing = named - set(passages)
    if missing:
        raise InputError(
            f"passage {min(missing)!r} of the runs, and {len(missing) - 1} more, are not in {wanted.corpus}, "
            "or have no text there"
        )
    return passages


def _examples(
    runs: Sequence[tuple[str, Run]],
    first_stage: Run | None,
    texts: Mapping[str, str],
    passages: Mapping[str, Passage],
    wanted: Import,
) -> Iterator[RankingExample]:
    """Each run's ranking of each query."""
    for name, run in runs:
        for query_id, hits in run.items():
            query = _query(query_id, texts, wanted, "" if len(runs) == 1 else f"-{name}")
            ranked = [hit.docid for hit in hits][: wanted.num_passages]
            places = _places(first_stage, query_id, ranked)
            pool = sorted(ranked, key=lambda docid: places[docid][0])
            order = {docid: place for place, docid in enumerate(pool)}
            yield RankingExample(
                query,
                RETRIEVER,
                _retrieved(pool, places, passages),
                teacher_order=tuple(order[docid] for docid in ranked),
                label_status="ok",
                teacher=name,
            )


def _fused_examples(
    runs: Sequence[tuple[str, Run]],
    first_stage: Run,
    texts: Mapping[str, str],
    passages: Mapping[str, Passage],
    wanted: Import,
) -> Iterator[RankingExample]:
    """One ranking a query, of the first stage's passages: the runs that rank the query, together."""
    weights = wanted.fuse or [1.0] * len(runs)
    for query_id, hits in first_stage.items():
        views = [
            (run[query_id], weight) for (_, run), weight in zip(runs, weights, strict=True) if query_id in run
        ]
        if not views:
            continue
        found = [hit.docid for hit in hits][: wanted.num_passages]
        pool = [passages[docid] for docid in found]
        example = RankingExample(
            _query(query_id, texts, wanted),
            RETRIEVER,
            _retrieved(found, _places(first_stage, query_id, found), passages),
        )
        answer = together([as_found(view, pool) for view, _ in views], [weight for _, weight in views])
        yield labelled(example, answer, "+".join(name for name, _ in runs))


def _retrieved(
    pool: Sequence[str], places: Mapping[str, tuple[int, float]], passages: Mapping[str, Passage]
) -> tuple[RetrievedPassage, ...]:
    return tuple(RetrievedPassage(passages[docid], *places[docid]) for docid in pool)


def _query(query_id: str, texts: Mapping[str, str], wanted: Import, suffix: str = "") -> Query:
    if query_id not in texts:
        raise InputError(f"a run has query {query_id!r}, which {wanted.queries} has not")
    return Query(f"{query_id}{suffix}", texts[query_id], QUERY_TYPE)


def _places(first_stage: Run | None, query_id: str, ranked: Sequence[str]) -> dict[str, tuple[int, float]]:
    """First-stage rank and score of each passage; where they are not known, those of the ranking."""
    if first_stage is None:
        return {docid: (rank, float(-rank)) for rank, docid in enumerate(ranked, start=1)}
    found = {hit.docid: (rank, hit.score) for rank, hit in enumerate(first_stage.get(query_id, []), start=1)}
    absent = next((docid for docid in ranked if docid not in found), None)
    if absent is not None:
        raise InputError(f"passage {absent!r} of query {query_id!r} is not in the first stage's run")
    return found
