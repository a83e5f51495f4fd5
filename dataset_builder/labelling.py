"""Opens the teacher that a build's settings name, with the answers it has already given."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder, all_pools
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.batch import BatchModel
from dataset_builder.language_models.chat import Sampling
from dataset_builder.language_models.conversation import LanguageModel
from dataset_builder.language_models.cost import Budget, Price, estimate
from dataset_builder.language_models.embedded import EMBEDDED, EmbeddedServer, embedded_model
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.methods import open_retrievers
from dataset_builder.packaged_model import gguf_file
from dataset_builder.settings import BuildSettings
from dataset_builder.teacher_name import (
    BATCH,
    ENSEMBLE,
    FUSION,
    LIKELIHOOD,
    LOCAL,
    POINTWISE,
    RERANKER,
    RETRIEVER,
    RUN,
    Member,
    TeacherName,
    ensemble_name,
)
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.ensemble import EnsembleTeacher, RetrieverTeacher
from dataset_builder.teachers.fusion import FusionTeacher
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher, RankingMethod
from dataset_builder.teachers.pointwise import PointwiseSettings
from dataset_builder.teachers.prompt import ListwisePrompt
from dataset_builder.teachers.reranker import check_model, open_reranker


@dataclass(frozen=True, slots=True)
class TeacherAccess:
    """How a language model is reached, and what it may cost. None of it changes a label.

    `base_url`: "" for OpenAI, `embedded` for llama.cpp's server, started here. `concurrency`: calls at once.
    `batch_size`: pools that a local model ranks at once. `max_cost`: US dollars, over all of a build's runs.
    `prompt_price`, `completion_price`: US dollars for a million tokens, by default those of `prices.yaml`. `answers`:
    folder of the paid answers, shared by as many builds as you like; by default the build's own.
    """

    base_url: str = ""
    concurrency: int = 32
    batch_size: int = 4
    timeout: float = 120.0
    poll_seconds: float = 60.0
    max_cost: float | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    answers: str = ""

    def is_embedded(self, model: str) -> bool:
        """Whether `model` is served by llama.cpp here: by wish, or because it is a GGUF file or the packaged model.

        Raises:
            InputError: for a GGUF file that is missing.
        """
        return self.base_url == EMBEDDED or gguf_file(model) is not None

    @contextmanager
    def server(self, model: str) -> Iterator[OpenAIServer]:
        """The server to ask for `model`; an embedded one runs only so long.

        Raises:
            InputError: where the embedded server cannot be started.
        """
        if not self.is_embedded(model):
            yield OpenAIServer(self.base_url, self.timeout)
            return
        with EmbeddedServer(model) as url:
            yield OpenAIServer(url, self.timeout)

    def price(self, model: str) -> Price | None:
        """What `model` costs; None where no price is known.

        Raises:
            InputError: where one of the two prices is given alone, or a cap without a price.
        """
        if (self.prompt_price is None) != (self.completion_price is None):
            raise InputError("give both --prompt_price and --completion_price, or none")
        if self.prompt_price is not None and self.completion_price is not None:
            return Price(self.prompt_price, self.completion_price)
        price = Price.of(model)
        if price is None and self.max_cost is not None:
            raise InputError(
                f"--max_cost needs a price, and none is known for {model!r}; "
                "give --prompt_price and --completion_price"
            )
        return price

    def answer_folder(self, folder: BuildFolder) -> Path:
        """Where the paid answers of a build are."""
        return Path(self.answers) if self.answers else folder.answers


def check_teacher(settings: BuildSettings, access: TeacherAccess) -> None:
    """Find what is wrong with a teacher before a build begins.

    Raises:
        InputError: for an unknown teacher, a model that is not there, settings out of range, a cap without a
            price, a missing key, or an ensemble of nothing.
    """
    if settings.ensemble and TeacherName.parse(settings.teacher).kind != ENSEMBLE:
        raise InputError(f"--ensemble needs --teacher {ENSEMBLE}, not {settings.teacher!r}")
    teachers = teachers_of(settings)
    if not teachers:
        raise InputError(
            f"an {ENSEMBLE} of nothing; give its members, for instance --ensemble reranker:all-MiniLM-L6-v2 bm25=0.5"
        )
    for teacher in teachers:
        _check(teacher, settings, access)


def _check(teacher: TeacherName, settings: BuildSettings, access: TeacherAccess) -> None:
    if teacher.kind == RUN:
        raise InputError("rankings that exist already come in by python -m dataset_builder import-runs")
    if teacher.kind == RETRIEVER and teacher.model not in settings.retrievers:
        raise InputError(
            f"{teacher.model} of --ensemble is not among --retrievers {' '.join(settings.retrievers)}"
        )
    if teacher.kind in (RERANKER, LIKELIHOOD) and gguf_file(teacher.model) is None:
        check_model(teacher)
    if teacher.is_language_model:
        ranking_method(teacher, settings)
        check_language_model(teacher, access)


def check_language_model(teacher: TeacherName, access: TeacherAccess) -> None:
    """Find what is wrong with the way to a language model.

    Raises:
        InputError: for a cap without a price, a missing key, or a model that is not embedded.
    """
    access.price(teacher.model)
    if teacher.kind == LOCAL:
        return
    if access.is_embedded(teacher.model):
        embedded_model(teacher.model)
        if teacher.kind == BATCH:
            raise InputError(f"{EMBEDDED} has no batch API; give openai:{teacher.model}")
    else:
        OpenAIServer(access.base_url).client().close()


def teachers_of(settings: BuildSettings) -> list[TeacherName]:
    """The teacher of a build; of an ensemble its members, retrieval methods among them."""
    teacher = TeacherName.parse(settings.teacher)
    return [each.teacher for each in members_of(settings)] if teacher.kind == ENSEMBLE else [teacher]


def members_of(settings: BuildSettings) -> list[Member]:
    """The members of a build's ensemble."""
    return [Member.parse(text) for text in settings.ensemble]


def teacher_column(settings: BuildSettings) -> str:
    """What the dataset's `teacher` column says."""
    teacher = TeacherName.parse(settings.teacher)
    if teacher.kind == ENSEMBLE:
        return ensemble_name(members_of(settings))
    return ranking_method(teacher, settings).name if teacher.is_language_model else str(teacher)


def ranking_method(teacher: TeacherName, settings: BuildSettings) -> RankingMethod:
    """How a language model ranks the pools of a build."""
    if teacher.kind == POINTWISE:
        return PointwiseSettings(teacher.model, settings.max_words)
    return ListwiseSettings(
        teacher.model,
        window_size=settings.window_size,
        step=settings.step,
        shuffle=settings.shuffle,
        num_rankings=settings.num_rankings,
        seed=settings.seed,
        prompt=ListwisePrompt(max_words=settings.max_words, structured=settings.structured),
        sampling=Sampling(temperature=settings.temperature),
    )


@contextmanager
def open_teacher(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, rank: int = 0
) -> Iterator[Teacher]:
    """The teacher that `settings.teacher` names, for task `rank`.

    Raises:
        InputError: for a teacher that is not known, or cannot be reached or loaded.
    """
    name = TeacherName.parse(settings.teacher)
    with ExitStack() as opened:
        opener = _Opener(folder, settings, access, rank, opened)
        if name.kind == ENSEMBLE:
            members = members_of(settings)
            teachers = [(opener.open(each.teacher), each.weight) for each in members]
            yield EnsembleTeacher(ensemble_name(members), teachers)
        else:
            yield opener.open(name)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens teachers; `opened` closes what they need."""

    folder: BuildFolder
    settings: BuildSettings
    access: TeacherAccess
    rank: int
    opened: ExitStack

    def open(self, teacher: TeacherName) -> Teacher:
        if teacher.kind == RUN:
            raise InputError(f"the rankings of {self.folder.root} were imported; it has no teacher to ask")
        if teacher.kind == FUSION:
            return FusionTeacher(open_retrievers(self.folder, self.settings))
        if teacher.kind == RETRIEVER:
            return RetrieverTeacher(*open_retrievers(self.folder, self.settings, [teacher.model]))
        if teacher.kind == RERANKER:
            return open_reranker(teacher.model)
        if teacher.kind == LIKELIHOOD:
            from dataset_builder.teachers.likelihood import open_likelihood

            return open_likelihood(teacher.model)
        method = ranking_method(teacher, self.settings)
        jobs = self.folder.batches(self.rank)
        return LLMTeacher(
            method, self.opened.enter_context(open_language_model(teacher, self.access, self.folder, jobs))
        )


@contextmanager
def open_language_model(
    teacher: TeacherName, access: TeacherAccess, folder: BuildFolder, jobs: Path
) -> Iterator[LanguageModel]:
    """The language model that `teacher` names, with the answers it has already given.

    Args:
        jobs: folder of what is submitted to a batch API.

    Raises:
        InputError: where it cannot be reached or loaded.
    """
    with AnswerCache(access.answer_folder(folder)) as cache:
        budget = Budget(cache, teacher.model, access.price(teacher.model), access.max_cost)
        if teacher.kind == LOCAL:
            from dataset_builder.language_models.local import LocalModel

            yield LocalModel(teacher.model, cache, budget, access.batch_size)
            return
        with access.server(teacher.model) as server:
            if teacher.kind == BATCH:
                yield BatchModel(cache, budget, server, jobs, poll_seconds=access.poll_seconds)
            else:
                concurrency = 1 if access.is_embedded(teacher.model) else access.concurrency
                yield LiveModel(cache, budget, server, concurrency)


def language_models_of(settings: BuildSettings) -> list[TeacherName]:
    """The language models, each once, that a build asks: its teachers and its writer of queries."""
    writer = [TeacherName.parse(settings.asked_writer)] if settings.asked_writer else []
    asked = [each for each in [*teachers_of(settings), *writer] if each.is_language_model]
    return list({each.model: each for each in asked}.values())


def describe_cost(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What language models' answers in a build's folder of answers have cost; "" where none is asked."""
    asked = language_models_of(settings)
    if not asked or not access.answer_folder(folder).is_dir():
        return ""
    with AnswerCache(access.answer_folder(folder)) as cache:
        return "; ".join(f"{each}: {Budget(cache, each.model, access.price(each.model))}" for each in asked)


def estimate_labelling(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What the language models among the teachers will still cost over a build's pools; sends nothing.

    Raises:
        InputError: for teachers that are none and cost nothing.
    """
    asked = [teacher for teacher in teachers_of(settings) if teacher.is_language_model]
    if not asked:
        raise InputError(f"--dry_run estimates a language model's cost; {settings.teacher} has none")
    lines = []
    with AnswerCache(access.answer_folder(folder)) as cache:
        for teacher in asked:
            conversations = map(ranking_method(teacher, settings).begin, all_pools(folder))
            price, is_batch = access.price(teacher.model), teacher.kind == BATCH
            lines.append(f"{teacher}: {estimate(conversations, cache, price, is_batch)}")
    return "\n".join(lines)
