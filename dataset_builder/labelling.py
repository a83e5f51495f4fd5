"""Opens the teacher that a build's settings name, with the answers it has already given."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataset_builder.errors import InputError
from dataset_builder.folder import BuildFolder, all_pools
from dataset_builder.methods import open_retrievers
from dataset_builder.settings import BuildSettings
from dataset_builder.teacher_name import BATCH, FUSION, OPENAI, RERANKER, RUN, TeacherName
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.answer_cache import AnswerCache
from dataset_builder.teachers.batch_api import BatchTeacher
from dataset_builder.teachers.chat import Sampling
from dataset_builder.teachers.cost import Budget, Estimate, Price, estimate
from dataset_builder.teachers.fusion import FusionTeacher
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.openai_server import OpenAIServer
from dataset_builder.teachers.openai_teacher import OpenAITeacher
from dataset_builder.teachers.prompt import ListwisePrompt
from dataset_builder.teachers.reranker import check_reranker, open_reranker


@dataclass(frozen=True, slots=True)
class TeacherAccess:
    """How a language model is reached, and what it may cost. None of it changes a label.

    `base_url`: "" for OpenAI. `concurrency`: calls at once. `batch_size`: pools that a local model ranks at
    once. `max_cost`: US dollars, over all of a build's runs. `prompt_price`, `completion_price`: US dollars
    for a million tokens, by default those of `prices.yaml`. `answers`: folder of the paid answers, shared by
    as many builds as you like; by default the build's own.
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

    def server(self) -> OpenAIServer:
        """The server to ask."""
        return OpenAIServer(self.base_url, self.timeout)

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
        InputError: for an unknown teacher, a reranker that is not there, settings out of range, a cap without a
            price, or a missing key.
    """
    teacher = TeacherName.parse(settings.teacher)
    if teacher.kind == RUN:
        raise InputError("rankings that exist already come in by python -m dataset_builder import-runs")
    if teacher.kind == RERANKER:
        check_reranker(teacher.model)
    if teacher.is_language_model:
        listwise_settings(settings)
        access.price(teacher.model)
    if teacher.kind in (OPENAI, BATCH):
        access.server().client().close()


def listwise_settings(settings: BuildSettings) -> ListwiseSettings:
    """How a language model ranks the pools of a build."""
    return ListwiseSettings(
        TeacherName.parse(settings.teacher).model,
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
    teacher = TeacherName.parse(settings.teacher)
    if teacher.kind == FUSION:
        yield FusionTeacher(open_retrievers(folder, settings))
    elif teacher.kind == RERANKER:
        yield open_reranker(teacher.model)
    elif teacher.is_language_model:
        with AnswerCache(access.answer_folder(folder)) as cache:
            yield _language_model(folder, settings, access, rank, cache)
    else:
        raise InputError(f"the rankings of {folder.root} were imported; it has no teacher to ask")


def _language_model(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, rank: int, cache: AnswerCache
) -> LLMTeacher:
    teacher, listwise = TeacherName.parse(settings.teacher), listwise_settings(settings)
    budget = Budget(cache, teacher.model, access.price(teacher.model), access.max_cost)
    if teacher.kind == OPENAI:
        return OpenAITeacher(listwise, cache, budget, access.server(), access.concurrency)
    if teacher.kind == BATCH:
        jobs = folder.batches(rank)
        return BatchTeacher(listwise, cache, budget, access.server(), jobs, poll_seconds=access.poll_seconds)
    from dataset_builder.teachers.local_causal_lm import LocalCausalLM

    return LocalCausalLM(listwise, cache, budget, access.batch_size)


def describe_cost(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What a language model's answers in a build's folder of answers have cost; "" for another teacher."""
    teacher = TeacherName.parse(settings.teacher)
    if not teacher.is_language_model or not access.answer_folder(folder).is_dir():
        return ""
    with AnswerCache(access.answer_folder(folder)) as cache:
        return str(Budget(cache, teacher.model, access.price(teacher.model)))


def estimate_labelling(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> Estimate:
    """What the language model will still cost over a build's pools; sends nothing.

    Raises:
        InputError: for another teacher, which costs nothing.
    """
    teacher = TeacherName.parse(settings.teacher)
    if not teacher.is_language_model:
        raise InputError(f"--dry_run estimates a language model's cost; {settings.teacher} has none")
    price, is_batch = access.price(teacher.model), teacher.kind == BATCH
    with AnswerCache(access.answer_folder(folder)) as cache:
        return estimate(all_pools(folder), listwise_settings(settings), cache, price, is_batch)
