"""How a language model is reached, and what it may cost."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from dataset_builder.build.folder import BuildFolder
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.anthropic_batches import AnthropicProvider
from dataset_builder.language_models.batch import BatchModel
from dataset_builder.language_models.batch_provider import BatchProvider
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.conversation import LanguageModel
from dataset_builder.language_models.embedded import EMBEDDED, EmbeddedServer, PromptReuse, embedded_model
from dataset_builder.language_models.google_batches import GoogleProvider
from dataset_builder.language_models.ledger import Ledger
from dataset_builder.language_models.live import LiveModel
from dataset_builder.language_models.notes import note
from dataset_builder.language_models.openai_batches import OpenAIProvider
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.prices import Price
from dataset_builder.language_models.rate_limit import RateLimit
from dataset_builder.teacher_name import ANTHROPIC, BATCH, LOCAL, PROVIDERS, TeacherName
from retrieval.errors import InputError
from retrieval.model_files import gguf_file


@dataclass(frozen=True, slots=True)
class TeacherAccess:
    """How a language model is reached, and what it may cost. None of it changes a label.

    `base_url`: "" for OpenAI, `embedded` for llama.cpp's server, started here. `concurrency`: calls at once, fewer
    while the server is busy. `requests_per_minute`, `tokens_per_minute`: what the server allows, over all tasks.
    `batch_queued_tokens`: how many tokens may wait in batches at once. `batch_size`: pools that a local model ranks at
    once. `max_cost`: US dollars that the build may pay, over all its tasks and runs. `prompt_price`,
    `completion_price`: US dollars for a million tokens, by default those of `prices.yaml`. `answers`: folder of the
    paid answers, shared by as many builds as you like; by default the build's own. `dry_run`: nobody is asked, so that
    no key is needed; `build` and `foresee` set it.
    """

    base_url: str = ""
    concurrency: int = 32
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    batch_queued_tokens: int | None = None
    batch_size: int = 4
    timeout: float = 120.0
    poll_seconds: float = 60.0
    max_cost: float | None = None
    prompt_price: float | None = None
    completion_price: float | None = None
    answers: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name in ("concurrency", "requests_per_minute", "tokens_per_minute", "batch_queued_tokens", "batch_size",
                     "timeout", "poll_seconds", "max_cost"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < inf:
                raise InputError(f"--{name} is {value}; it must be more than 0")
        for name in ("prompt_price", "completion_price"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < inf:
                raise InputError(f"--{name} is {value}; it must be at least 0")

    def is_embedded(self, model: str) -> bool:
        """Whether `model` is served by llama.cpp here: by wish, or because it is a GGUF file or the packaged model.

        Raises:
            InputError: for a GGUF file that is missing.
        """
        return self.base_url == EMBEDDED or gguf_file(model) is not None

    def runs_here(self, teacher: TeacherName) -> bool:
        """Whether nobody is paid for what `teacher` answers."""
        return teacher.kind == LOCAL or self.is_embedded(teacher.model)

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
            yield OpenAIServer(url, self.timeout, own_fields=PromptReuse().fields)

    def batch_provider(self, model: str) -> BatchProvider:
        """Who takes batches for `model`: a server that speaks OpenAI's API, or whom the model's name begins with."""
        provider, slash, _ = model.partition("/")
        if slash and provider in PROVIDERS and not self.base_url:
            return AnthropicProvider(self.timeout) if provider == ANTHROPIC else GoogleProvider(self.timeout)
        return OpenAIProvider(OpenAIServer(self.base_url, self.timeout))

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
    elif access.dry_run:
        return
    elif teacher.kind == BATCH:
        access.batch_provider(teacher.model).check()
    else:
        OpenAIServer(access.base_url).check()


@contextmanager
def open_language_model(
    teacher: TeacherName, access: TeacherAccess, folder: BuildFolder, jobs: Path, earlier: Sequence[Path] = ()
) -> Iterator[LanguageModel]:
    """The language model that `teacher` names, with the answers it has already given.

    Args:
        jobs: folder of what is submitted to a batch API.
        earlier: folders of what other tasks submitted, in runs before this one.

    Raises:
        InputError: where it cannot be reached or loaded.
    """
    with open_budget(teacher, access, folder) as budget:
        cache = budget.cache
        if teacher.kind == LOCAL:
            from dataset_builder.language_models.local import LocalModel

            yield LocalModel(teacher.model, cache, budget, access.batch_size)
            return
        if teacher.kind == BATCH:
            provider = access.batch_provider(teacher.model)
            limits = replace(provider.limits, queued_tokens=access.batch_queued_tokens)
            yield BatchModel(cache, budget, provider, jobs, access.poll_seconds, limits, earlier=earlier)
            return
        with access.server(teacher.model) as server:
            concurrency = 1 if access.is_embedded(teacher.model) else access.concurrency
            limit = RateLimit(access.requests_per_minute, access.tokens_per_minute, access.timeout)
            yield LiveModel(cache, budget, server, concurrency, limit)


@contextmanager
def open_budget(teacher: TeacherName, access: TeacherAccess, folder: BuildFolder) -> Iterator[Budget]:
    """What a build pays to `teacher`, and the answers it has."""
    with AnswerCache(access.answer_folder(folder)) as cache, Ledger(folder.ledger) as ledger:
        for place in cache.unreadable:
            note(f"an answer cannot be read, it is set aside and asked again: {place}")
        if not access.answers:
            ledger.take_over(cache.paid)
        price = access.price(teacher.model)
        is_paid = not access.runs_here(teacher)
        yield Budget(cache, teacher.model, price, access.max_cost, ledger, access.timeout, is_paid)
