"""Listwise ranking by a chat model: from a pool to requests, from answers to an order.

`rank_pool` is a conversation (see `language_models/conversation.py`): it yields a request, is sent its answer, and
returns the pool's order.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Sampling
from dataset_builder.language_models.conversation import Conversation
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.aggregation import aggregate
from dataset_builder.teachers.llm_teacher import Ranking
from dataset_builder.teachers.permutation import Permutation, parse_permutation
from dataset_builder.teachers.prompt import ListwisePrompt
from dataset_builder.teachers.sliding_window import STEP, WINDOW_SIZE, sort_in_windows
from retrieval.errors import InputError
from retrieval.records import Passage


@dataclass(frozen=True, slots=True)
class ListwiseSettings:
    """How a pool is ranked.

    `attempts`: how often one window is asked for before its pool is given up. `shuffle`: the passages of
    each prompt are shown in a random order, drawn from `seed`, against the model's bias by position.
    `num_rankings`: how many times, each with its own shuffle; they are aggregated (`aggregation.py`).
    """

    model: str
    window_size: int = WINDOW_SIZE
    step: int = STEP
    attempts: int = 5
    shuffle: bool = False
    num_rankings: int = 1
    seed: int = 0
    prompt: ListwisePrompt = field(default_factory=ListwisePrompt)
    sampling: Sampling = field(default_factory=Sampling)

    def __post_init__(self) -> None:
        if not 1 <= self.step < self.window_size:
            raise InputError(
                f"step {self.step} must lie between 1 and window_size {self.window_size} less one"
            )
        if self.attempts < 1:
            raise InputError(f"attempts is {self.attempts}; at least 1 is needed")
        if self.num_rankings < 1 or (self.num_rankings > 1 and not self.shuffle):
            raise InputError(f"num_rankings {self.num_rankings} must be 1, or more together with shuffle")

    @property
    def name(self) -> str:
        """What the dataset's `teacher` column says: model and prompt version."""
        return f"{self.model} (prompt {self.prompt.version})"

    def begin(self, example: RankingExample) -> Ranking:
        """See `RankingMethod.begin`."""
        return rank_pool(example.query.text, [found.passage for found in example.passages], self)


class _NoOrder(Exception):
    def __init__(self, label_status: str) -> None:
        self.label_status = label_status


_Windows = Conversation[Permutation]


def rank_pool(query: str, passages: Sequence[Passage], settings: ListwiseSettings) -> Ranking:
    """Rank `passages`, given in first-stage order, for `query`.

    Yields requests and is sent their answers. The returned answer's status is `ok` where every window's
    was, `repaired` where some were; where one window got no order in `settings.attempts` answers the
    whole pool gets none, and the last answer's status (`refused` or `unusable`).
    """
    rankings: list[tuple[int, ...]] = []
    repaired = False
    try:
        for number in range(settings.num_rankings):
            ranking = yield from _rank_once(query, passages, settings, number)
            rankings.append(ranking.order or ())
            repaired |= ranking.status == "repaired"
    except _NoOrder as failure:
        return TeacherAnswer(None, failure.label_status)
    return TeacherAnswer(aggregate(rankings), "repaired" if repaired else "ok")


def _rank_once(query: str, passages: Sequence[Passage], settings: ListwiseSettings, number: int) -> _Windows:
    """One ranking of the whole pool by sliding windows."""
    shuffler = random.Random(f"{settings.seed} {number} {query}") if settings.shuffle else None
    windows = sort_in_windows(len(passages), settings.window_size, settings.step)
    status = "ok"
    ranked: Sequence[int] | None = None
    while True:
        try:
            window = windows.send(ranked) if ranked is not None else next(windows)
        except StopIteration as done:
            return Permutation(done.value, status)
        shown = shuffler.sample(window, len(window)) if shuffler else list(window)
        answer = yield from _order_of(query, [passages[index] for index in shown], settings)
        status = "repaired" if answer.status == "repaired" else status
        ranked = _mapped_back(answer, shown, window)


def _order_of(query: str, shown: Sequence[Passage], settings: ListwiseSettings) -> _Windows:
    """Ask until an answer gives an order, at most `settings.attempts` times."""
    status = "unusable"
    for attempt in range(1, settings.attempts + 1):
        messages = settings.prompt.messages(query, shown, attempt)
        answer = yield ChatRequest(
            settings.model, messages, len(shown), settings.sampling, settings.prompt.structured
        )
        permutation = read_answer(answer, len(shown))
        if permutation.order is not None:
            return permutation
        status = permutation.status
    raise _NoOrder(status)


def read_answer(answer: ChatAnswer, num_passages: int) -> Permutation:
    """The permutation in an answer; what the model or its filter declined is `refused`."""
    if answer.refusal or answer.finish_reason == "content_filter":
        return Permutation(None, "refused")
    return parse_permutation(answer.text, num_passages)


def _mapped_back(answer: Permutation, shown: Sequence[int], window: Sequence[int]) -> list[int]:
    """Places in the prompt → indices in the pool. What the answer left out goes to the end as it stood
    before the shuffle: a random order must not become a label."""
    missing = {shown[place] for place in answer.missing}
    given = [shown[place] for place in answer.order or () if shown[place] not in missing]
    return given + [index for index in window if index in missing]
