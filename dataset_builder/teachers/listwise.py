"""Listwise ranking by a chat model: from a pool to requests, from answers to an order.

`rank_pool` is a conversation (see `language_models/conversation.py`): it yields a request, is sent its answer, and
returns the pool's order.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Sampling
from dataset_builder.language_models.conversation import Conversation, Rejection
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.aggregation import aggregate
from dataset_builder.teachers.llm_teacher import Ranking
from dataset_builder.teachers.permutation import Permutation, parse_permutation
from dataset_builder.teachers.prompt import ANSWER_FORMATS, AUTO, JSON, TEXT, ListwisePrompt
from dataset_builder.teachers.scored_answer import parse_scores, schema_probe, score_fields, takes_schema
from dataset_builder.teachers.sliding_window import STEP, WINDOW_SIZE, sort_in_windows
from retrieval.errors import InputError
from retrieval.records import Passage

# Of the attempts at a window, under `auto`: a model that gives all passages one score may still list them.
STRUCTURED_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class ListwiseSettings:
    """How a pool is ranked.

    `attempts`: how often one window is asked for before its pool is given up. `shuffle`: the passages of
    each prompt are shown in a random order, drawn from `seed`, against the model's bias by position.
    `num_rankings`: how many times, each with its own shuffle; they are aggregated (`aggregation.py`). `answer_format`:
    `text` asks for `[2] > [1]`, `json` for a score a passage under a JSON schema, `auto` for that where the server
    takes one.
    """

    model: str
    window_size: int = WINDOW_SIZE
    step: int = STEP
    attempts: int = 5
    shuffle: bool = False
    num_rankings: int = 1
    seed: int = 0
    answer_format: str = TEXT
    prompt: ListwisePrompt = field(default_factory=ListwisePrompt)
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if not 1 <= self.step < self.window_size:
            raise InputError(
                f"step {self.step} must lie between 1 and window_size {self.window_size} less one"
            )
        if self.attempts < 1:
            raise InputError(f"attempts is {self.attempts}; at least 1 is needed")
        if self.answer_format not in ANSWER_FORMATS:
            raise InputError(f"--answer_format is {self.answer_format!r}; give {', '.join(ANSWER_FORMATS)}")
        if self.num_rankings < 1 or (self.num_rankings > 1 and not self.shuffle):
            raise InputError(f"num_rankings {self.num_rankings} must be 1, or more together with shuffle")

    @property
    def name(self) -> str:
        """What the dataset's `teacher` column says: model and prompt version."""
        return f"{self.model} (prompt {self.prompt.version(self.answer_format)})"

    def begin(self, example: RankingExample) -> Ranking:
        """See `RankingMethod.begin`."""
        return rank_pool(example.query.text, [found.passage for found in example.passages], self)


class _NoOrder(Exception):
    def __init__(self, label_status: str) -> None:
        self.label_status = label_status


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Indices into the pool, best first, and those whose places an answer did not give for sure."""

    order: tuple[int, ...]
    status: str = "ok"
    repaired: frozenset[int] = frozenset()


def rank_pool(query: str, passages: Sequence[Passage], settings: ListwiseSettings) -> Ranking:
    """Rank `passages`, given in first-stage order, for `query`.

    Yields requests and is sent their answers. The returned answer's status is `ok` where every window's
    was, `repaired` where some were; where one window got no order in `settings.attempts` answers the
    whole pool gets none, and the last answer's status (`refused` or `unusable`).
    """
    rankings: list[_Ranked] = []
    structured = settings.answer_format == JSON
    try:
        if settings.answer_format == AUTO and len(passages) > 1:
            structured = yield from takes_schema(settings.model, settings.sampling)
        for number in range(settings.num_rankings):
            rankings.append((yield from _rank_once(query, passages, settings, number, structured)))
    except _NoOrder as failure:
        return TeacherAnswer(None, failure.label_status)
    status = "repaired" if any(ranking.status == "repaired" for ranking in rankings) else "ok"
    repaired = frozenset[int]().union(*(ranking.repaired for ranking in rankings))
    order = aggregate([ranking.order for ranking in rankings])
    return TeacherAnswer(order, status, repaired_places=len(repaired))


def _rank_once(
    query: str, passages: Sequence[Passage], settings: ListwiseSettings, number: int, structured: bool
) -> Conversation[_Ranked]:
    """One ranking of the whole pool by sliding windows."""
    shuffler = random.Random(f"{settings.seed} {number} {query}") if settings.shuffle else None
    windows = sort_in_windows(len(passages), settings.window_size, settings.step)
    status = "ok"
    repaired: set[int] = set()
    ranked: Sequence[int] | None = None
    while True:
        try:
            window = windows.send(ranked) if ranked is not None else next(windows)
        except StopIteration as done:
            return _Ranked(done.value, status, frozenset(repaired))
        shown = shuffler.sample(window, len(window)) if shuffler else list(window)
        answer = yield from _order_of(query, [passages[index] for index in shown], settings, structured)
        status = "repaired" if answer.status == "repaired" else status
        repaired |= {shown[place] for place in answer.repaired}
        ranked = _mapped_back(answer, shown, window)


def _order_of(
    query: str, shown: Sequence[Passage], settings: ListwiseSettings, structured: bool
) -> Conversation[Permutation]:
    """Ask until an answer gives an order, at most `settings.attempts` times; where the format is ours to choose, the
    last times in the text form, and all after a request with a schema is rejected."""
    status = "unusable"
    for attempt in range(1, settings.attempts + 1):
        if settings.answer_format == AUTO and attempt > STRUCTURED_ATTEMPTS:
            structured = False
        try:
            answer = yield _request(query, shown, settings, attempt, structured)
        except Rejection as rejection:
            if not structured or rejection.too_long:
                raise
            yield from _check_schema(settings, rejection)
            structured, status = False, "rejected"
            continue
        permutation = read_answer(answer, len(shown), structured)
        if permutation.order is not None:
            return permutation
        status = permutation.status
    raise _NoOrder(status)


def _request(
    query: str, shown: Sequence[Passage], settings: ListwiseSettings, attempt: int, structured: bool
) -> ChatRequest:
    messages = settings.prompt.messages(query, shown, attempt, structured)
    fields = score_fields(len(shown)) if structured else ()
    has_fallback = structured and settings.answer_format == AUTO
    return ChatRequest(settings.model, messages, len(shown), settings.sampling, fields, has_fallback)


def _check_schema(settings: ListwiseSettings, rejection: Rejection) -> Conversation[None]:
    """Where a schema is demanded, find out whether `rejection` is for the schema or for this request, and raise it.

    Raises:
        InputError: where the server takes no schema at all.
    """
    if settings.answer_format == AUTO:
        return
    try:
        yield schema_probe(settings.model, settings.sampling)
    except Rejection as of_probe:
        raise InputError(
            f"the server of {settings.model} takes no JSON schema ({of_probe}); give --answer_format text"
        ) from None
    raise rejection


def read_answer(answer: ChatAnswer, num_passages: int, structured: bool = False) -> Permutation:
    """The permutation in an answer; what the model or its filter declined is `refused`."""
    if answer.refusal or answer.finish_reason == "content_filter":
        return Permutation(None, "refused")
    if structured:
        return parse_scores(answer, num_passages)
    return parse_permutation(answer.text, num_passages)


def _mapped_back(answer: Permutation, shown: Sequence[int], window: Sequence[int]) -> list[int]:
    """Places in the prompt → indices in the pool. What the answer did not tell apart, or left out, stands as it did
    before the shuffle: a random order must not become a label."""
    levels = dict(zip(shown, answer.levels or (), strict=True))
    return sorted(window, key=levels.__getitem__)
