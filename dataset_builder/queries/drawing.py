"""Opens what draws the queries of a build: a sampler for each query type, with the models that some of them need."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.growth import queries_before
from dataset_builder.build.settings import (
    DOCT5QUERY,
    GIVEN,
    LLM_QUERY,
    QUERY_TYPES,
    WRITTEN_TYPES,
    BuildSettings,
)
from dataset_builder.language_models.access import TeacherAccess, check_language_model, open_language_model
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.cost import Estimate, estimate
from dataset_builder.pools.methods import open_retrievers, require_models
from dataset_builder.queries.consistency import ConsistencyFilter
from dataset_builder.queries.cropped import cropped_sentence
from dataset_builder.queries.decontamination import ExcludedQueries
from dataset_builder.queries.doc2query import WRITING_BATCH, DocT5Query
from dataset_builder.queries.given import GivenQueries
from dataset_builder.queries.keywords import Keywords
from dataset_builder.queries.llm_query import WRITING_BATCH as LLM_WRITING_BATCH
from dataset_builder.queries.llm_query import LLMQueries, QueryPrompt, begin_writing
from dataset_builder.queries.sampler import MakeQuery, QuerySampler, Sampler, WriteQueries, one_by_one
from dataset_builder.teacher_name import BATCH, LOCAL, OPENAI, TeacherName
from retrieval.errors import InputError
from retrieval.judgments import read_qrels
from retrieval.passage_store import PassageStore
from retrieval.queries import read_queries
from retrieval.records import Query

# Which models a query type needs, by their settings.
MODELS_OF = {DOCT5QUERY: (DOCT5QUERY,)}


def check_queries(settings: BuildSettings, access: TeacherAccess) -> None:
    """Find what is wrong with the queries before a build begins.

    Raises:
        InputError: for a query type that is not known or whose model or file is not named, queries that cannot be
            read, a writer that is no language model or cannot be reached, a prompt that cannot be read, or a
            retrieval method that the build has not.
    """
    for query_type in settings.query_shares():
        if query_type not in QUERY_TYPES:
            raise InputError(f"query type {query_type!r} is not known; give some of {', '.join(QUERY_TYPES)}")
        require_models(query_type, MODELS_OF.get(query_type, ()), settings)
    ExcludedQueries.read(settings.exclude_queries)
    _judged_passages(settings)
    if GIVEN in settings.query_shares():
        _given(settings)
    if LLM_QUERY in settings.query_shares():
        writer = query_writer(settings)
        check_language_model(writer, access)
        QueryPrompt.read(settings.query_prompt)
    retriever = settings.consistency_retriever
    if retriever and settings.writes_queries and retriever not in settings.retrievers:
        raise InputError(
            f"--consistency_retriever {retriever!r} is not among --retrievers {' '.join(settings.retrievers)}"
        )


def models_of_queries(settings: BuildSettings) -> list[str]:
    """The models, each once, whose weights write the queries of a build; of `llm_query` see `query_writer`."""
    flags = [flag for query_type in settings.query_shares() for flag in MODELS_OF.get(query_type, ())]
    return [getattr(settings, flag) for flag in flags]


def query_writer(settings: BuildSettings) -> TeacherName:
    """The language model that writes `llm_query`.

    Raises:
        InputError: where none is named.
    """
    forms = f"{OPENAI}:MODEL, {BATCH}:MODEL or {LOCAL}:PATH"
    if not settings.query_writer:
        raise InputError(f"'llm_query' needs --query_writer: {forms}")
    writer = TeacherName.parse(settings.query_writer)
    if writer.kind not in (OPENAI, BATCH, LOCAL):
        raise InputError(f"--query_writer {settings.query_writer!r} writes no queries; give {forms}")
    return writer


def check_kept(settings: BuildSettings, before: Sequence[Query]) -> None:
    """Raise `InputError` where one's own queries are no longer those that were drawn before."""
    if GIVEN in settings.query_shares():
        GivenQueries(_given(settings)).check_kept(before)


def shares_to_draw(settings: BuildSettings, before: Sequence[Query]) -> dict[str, int]:
    """How many queries of each type are missing where some were drawn before."""
    drawn = Counter(query.query_type for query in before)
    shares = {name: number - drawn[name] for name, number in settings.query_shares().items()}
    return {name: number for name, number in shares.items() if number > 0} if before else shares


@contextmanager
def open_samplers(
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    passages: PassageStore,
    query_types: Iterable[str],
) -> Iterator[list[Sampler]]:
    """A sampler for each of these query types."""
    excluded = ExcludedQueries.read(settings.exclude_queries, settings.language)
    judged = _judged_passages(settings)
    with ExitStack() as opened:
        samplers: list[Sampler] = []
        for query_type in query_types:
            if query_type == GIVEN:
                samplers.append(GivenQueries(_given(settings), excluded))
                continue
            write, batch_size = _writer(query_type, folder, settings, access, passages, opened)
            sampler = QuerySampler(
                passages, query_type, write, settings.seed, excluded, batch_size, judged=judged
            )
            if query_type in WRITTEN_TYPES and settings.consistency_retriever:
                (retriever,) = open_retrievers(folder, settings, [settings.consistency_retriever])
                sampler.consistent = ConsistencyFilter(retriever, settings.consistency_depth)
            samplers.append(sampler)
        yield samplers


def _judged_passages(settings: BuildSettings) -> set[str]:
    """The passages that evaluation sets judge: a query made of one would leak."""
    qrels = (read_qrels(Path(path)) for path in settings.exclude_sources)
    return {docid for judged in qrels for grades in judged.values() for docid in grades}


def _given(settings: BuildSettings) -> dict[str, str]:
    if not settings.queries:
        raise InputError(f"{GIVEN!r} needs --queries: a queries.jsonl (_id, text), or a .tsv of id and text")
    return read_queries(Path(settings.queries))


def _writer(
    query_type: str,
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    passages: PassageStore,
    opened: ExitStack,
) -> tuple[WriteQueries, int | None]:
    """What writes queries of a type, and for how many passages at once; None, for all."""
    if query_type == DOCT5QUERY:
        return DocT5Query(settings.doct5query, settings.language), WRITING_BATCH
    if query_type == LLM_QUERY:
        writer = query_writer(settings)
        model = opened.enter_context(open_language_model(writer, access, folder, folder.batches_of_queries))
        batch_size = None if writer.kind == BATCH else LLM_WRITING_BATCH
        prompt = QueryPrompt.read(settings.query_prompt)
        return LLMQueries(model, writer.model, prompt, settings.language), batch_size
    if query_type == "keywords":
        return one_by_one(Keywords.from_corpus(passages, settings.seed, settings.language)), 1
    crop: MakeQuery = partial(cropped_sentence, language=settings.language)
    return one_by_one(crop), 1


def writing_costs(settings: BuildSettings, access: TeacherAccess) -> bool:
    """Whether a language model writes queries that is not run here."""
    if LLM_QUERY not in settings.query_shares():
        return False
    writer = query_writer(settings)
    return writer.kind != LOCAL and not access.is_embedded(writer.model)


def estimate_writing(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> Estimate:
    """What the language model will cost that writes queries, each kept at the first attempt; sends nothing."""
    writer, prompt = query_writer(settings), QueryPrompt.read(settings.query_prompt)
    passages, rng = PassageStore(folder.passages), random.Random(settings.seed)
    shares = shares_to_draw(settings, queries_before(folder, settings))
    wanted = [
        (passages.at(rng.randrange(len(passages))), rng.getrandbits(31))
        for _ in range(shares.get(LLM_QUERY, 0))
    ]
    conversations = (
        begin_writing(writer.model, prompt, passage, seed, settings.language) for passage, seed in wanted
    )
    with AnswerCache(access.answer_folder(folder)) as cache:
        return estimate(conversations, cache, access.price(writer.model), writer.kind == BATCH)
