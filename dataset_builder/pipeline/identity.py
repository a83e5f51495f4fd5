"""What makes a build this one and no other: its settings by meaning, its files by content, models and prompts."""

import os
from dataclasses import replace
from pathlib import Path
from platform import python_version

from dataset_builder.build.claim import RANKING_PROMPT, Begun, Identity
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.growth import drawn_queries, grown
from dataset_builder.build.meaning import plain_name, setting_meanings
from dataset_builder.build.settings import LLM_QUERY, BuildSettings
from dataset_builder.dataset.models import models_of
from dataset_builder.prompt_files import version, wording
from dataset_builder.queries.drawing import check_kept
from dataset_builder.queries.llm_query import QueryPrompt
from dataset_builder.teacher_name import LIKELIHOOD, LISTWISE, POINTWISE
from dataset_builder.teachers.choice import teachers_of
from dataset_builder.teachers.prompt import AUTO, ListwisePrompt
from retrieval.content import Contents
from retrieval.corpus import PYTHON_STDLIB, named_files, read_corpus
from retrieval.errors import InputError
from retrieval.hosted_corpora import HUGGING_FACE, parse_hugging_face
from retrieval.language import ENGLISH, language_of
from retrieval.model_revision import model_revision, weight_files

POINTWISE_PROMPT, LIKELIHOOD_PROMPT = "pointwise prompt", "likelihood prompt"
# Settings that name files of evaluation sets, in any order.
EXCLUDED = ("exclude_queries", "exclude_sources")
# What teachers are asked; not what writes queries.
OF_PROMPTS = (RANKING_PROMPT, POINTWISE_PROMPT, LIKELIHOOD_PROMPT)


def begun_contents(folder: BuildFolder) -> Contents:
    """The contents that a build in `folder` was begun with, if there is one."""
    return Contents(Begun.read(folder).seen) if folder.settings.is_file() else Contents()


def settled(settings: BuildSettings, folder: BuildFolder, contents: Contents) -> BuildSettings:
    """The settings with what they leave open: as the build was begun with, or else the language found from a sample;
    and with what the build had before it grew.

    Raises:
        InputError: for a corpus whose first passages cannot be read, or shards in another number than the build's,
            or one's own queries that lack some of those drawn.
    """
    settings = replace(settings, num_shards=_num_shards(settings, folder))
    if folder.settings.is_file():
        settings = _as_begun(settings, folder, contents)
    if settings.language:
        return settings
    if settings.corpus == PYTHON_STDLIB:
        return replace(settings, language=ENGLISH)
    return replace(settings, language=language_of(read_corpus(settings.corpus)))


def _as_begun(settings: BuildSettings, folder: BuildFolder, contents: Contents) -> BuildSettings:
    begun = Begun.read(folder)
    settings = replace(
        settings,
        earlier_draws=begun.settings.earlier_draws,
        language=settings.language or begun.settings.language,
        answer_format=begun.settings.answer_format
        if settings.answer_format == AUTO
        else settings.answer_format,
    )
    if not _asks_for_other_queries(settings, begun, contents):
        return settings
    check_kept(settings, drawn_queries(folder, begun.settings))
    return grown(settings, folder, begun.settings)


def _asks_for_other_queries(settings: BuildSettings, begun: Begun, contents: Contents) -> bool:
    if settings.query_shares() != begun.settings.query_shares():
        return True
    return "queries" in begun.identity and begun.identity["queries"] != _own_queries(settings, contents)


def _own_queries(settings: BuildSettings, contents: Contents) -> str:
    return contents.of(Path(settings.queries)) if settings.queries else ""


def _num_shards(settings: BuildSettings, folder: BuildFolder) -> int:
    if not folder.settings.is_file():
        return settings.num_shards or settings.default_shards
    begun = Begun.read(folder).settings
    first = begun.earlier_draws[0].num_shards if begun.earlier_draws else begun.num_shards
    if settings.num_shards not in (0, first):
        raise InputError(
            f"--num_shards is {settings.num_shards}, and {folder.root} was begun with {first}; leave it out"
        )
    return begun.num_shards


def build_identity(settings: BuildSettings, contents: Contents) -> Identity:
    """Everything that the dataset depends on, by name; two builds that agree give the same bytes.

    Raises:
        InputError: for a model that is neither here nor on the Hub.
    """
    files = {
        "corpus": corpus_content(settings.corpus, contents),
        "queries": _own_queries(settings, contents),
        **{name: sorted(contents.of(Path(path)) for path in getattr(settings, name)) for name in EXCLUDED},
    }
    models = {
        f"revision of {plain_name(name)}": content_of_model(name, contents) for name in models_of(settings)
    }
    return setting_meanings(settings) | files | models | _prompts(settings)


def corpus_content(corpus: str, contents: Contents) -> str:
    """What tells this corpus from another: of files here their content, of others the name.

    Raises:
        InputError: for a file that is missing.
    """
    if corpus == PYTHON_STDLIB:
        return f"Python {python_version()}"
    if corpus.startswith(HUGGING_FACE):
        return _dataset_content(corpus, contents)
    files = named_files(corpus)
    return contents.of_files(Path(corpus), files) if files else corpus


def _dataset_content(corpus: str, contents: Contents) -> str:
    name, config, split = parse_hugging_face(corpus)
    if not os.path.isdir(name):
        return corpus
    return " ".join(filter(None, (contents.of(Path(name)), config, split)))


def content_of_model(model: str, contents: Contents) -> str:
    """What tells a model's weights from any others, read once.

    Raises:
        InputError: for a model that is neither here nor on the Hub.
    """
    files = weight_files(model)
    if not files:
        return model_revision(model)
    return contents.remembered(files[0].parent, files, lambda: model_revision(model))


def _prompts(settings: BuildSettings) -> dict[str, object]:
    """The versions of the prompts that this build uses."""
    kinds = {teacher.kind for teacher in teachers_of(settings)}
    prompts = {}
    if kinds & set(LISTWISE):
        prompts[RANKING_PROMPT] = ListwisePrompt(settings.max_words).version(settings.answer_format)
    if POINTWISE in kinds:
        prompts[POINTWISE_PROMPT] = version(wording("pointwise.txt"))
    if LIKELIHOOD in kinds:
        prompts[LIKELIHOOD_PROMPT] = version(wording("likelihood.txt"))
    if LLM_QUERY in settings.query_shares():
        prompts["query prompt"] = QueryPrompt.read(settings.query_prompt).version
    return {**prompts}
