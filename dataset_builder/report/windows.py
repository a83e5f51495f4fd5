"""A pool's requests to a language model, as they were answered: what was shown, said and read."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from math import isfinite, nan

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatRequest, Message
from dataset_builder.language_models.conversation import Exchange, replay
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.listwise import ListwiseSettings, read_answer
from dataset_builder.teachers.llm_teacher import RankingMethod, ranking
from dataset_builder.teachers.pointwise import log_odds
from dataset_builder.teachers.prompt import ListwisePrompt
from retrieval.errors import InputError
from retrieval.records import Passage

MAX_ANSWER_CHARACTERS = 20_000
TO_COME = "to come"


@dataclass(frozen=True, slots=True)
class Turn:
    """One request and its answer. `shown`, `order` and `missing` are indices into the pool.

    `window`, from 1, and `attempt`: which request for it this was. `shown`: in the prompt's order, so that the first is
    the model's `[1]`. `order`: what the answer lists, best first, empty where it is no order. `missing`: what an order
    left out, which was put behind. `log_odds`: of a pointwise answer.
    """

    window: int
    attempt: int
    shown: tuple[int, ...]
    text: str
    refusal: str
    rejection: str
    finish_reason: str
    tokens: tuple[int, int]
    status: str = ""
    order: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    log_odds: float | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """What one language model was asked about a pool. `end`: the status it led to, `to come`, or what is wrong."""

    teacher: str
    turns: tuple[Turn, ...]
    end: str


def talk_with(method: RankingMethod, pool: RankingExample, answers: AnswerCache) -> Talk:
    """The turns on the way that the answers so far lead; nothing is asked."""
    try:
        turns, end = (
            _listwise(method, pool, answers)
            if isinstance(method, ListwiseSettings)
            else _pointwise(method, pool, answers)
        )
    except InputError as error:
        # An answer that stopped the build: the report still has the rest to show.
        return Talk(method.name, (), str(error))
    return Talk(method.name, tuple(turns), end.label_status if isinstance(end, TeacherAnswer) else TO_COME)


def _listwise(
    method: ListwiseSettings, pool: RankingExample, answers: AnswerCache
) -> tuple[Iterator[Turn], ChatRequest | TeacherAnswer]:
    watched = _WatchedPrompt(**asdict(method.prompt))
    exchanges, end = replay(ranking(replace(method, prompt=watched), pool), answers)
    places = {found.passage.docid: index for index, found in enumerate(pool.passages)}
    exchanges = [exchange for exchange in exchanges if exchange.request.num_listed]  # others show no passage
    windows = [watched.shown[exchange.request.messages] for exchange in exchanges]
    return _turns(exchanges, [tuple(places[passage.docid] for passage in window) for window in windows]), end


def _pointwise(
    method: RankingMethod, pool: RankingExample, answers: AnswerCache
) -> tuple[Iterator[Turn], ChatRequest | TeacherAnswer]:
    exchanges, end = replay(ranking(method, pool), answers)
    answered = accumulate((not exchange.answer.rejection for exchange in exchanges), initial=0)
    return _turns(exchanges, [(place,) for place, _ in zip(answered, exchanges, strict=False)]), end


@dataclass(frozen=True)
class _WatchedPrompt(ListwisePrompt):
    """Remembers which passages each prompt shows."""

    shown: dict[tuple[Message, ...], tuple[Passage, ...]] = field(default_factory=dict)

    def messages(
        self, query: str, passages: Sequence[Passage], attempt: int = 1, structured: bool = False
    ) -> tuple[Message, ...]:
        """See `ListwisePrompt.messages`."""
        messages = ListwisePrompt.messages(self, query, passages, attempt, structured)
        self.shown[messages] = tuple(passages)
        return messages


def _turns(exchanges: Sequence[Exchange], shown: Sequence[tuple[int, ...]]) -> Iterator[Turn]:
    window, attempt = 0, 0
    previous: tuple[int, ...] | None = None
    for exchange, passages in zip(exchanges, shown, strict=True):
        window, attempt = (window, attempt + 1) if passages == previous else (window + 1, 1)
        previous = passages
        answer = exchange.answer
        turn = Turn(
            window,
            attempt,
            passages,
            shortened(answer.text, MAX_ANSWER_CHARACTERS),
            answer.refusal,
            answer.rejection,
            answer.finish_reason,
            (answer.prompt_tokens, answer.completion_tokens),
        )
        yield _read(turn, exchange)


def _read(turn: Turn, exchange: Exchange) -> Turn:
    """`turn` with what its answer says."""
    if not exchange.request.num_listed:
        candidates = exchange.answer.first_token
        worth = log_odds(candidates) if candidates else nan
        return replace(turn, log_odds=worth if isfinite(worth) else None)
    if turn.rejection:
        return replace(turn, status="rejected")
    permutation = read_answer(exchange.answer, len(turn.shown), bool(exchange.request.fields))
    listed = (place for place in permutation.order or () if place not in permutation.missing)
    return replace(
        turn,
        status=permutation.status,
        order=tuple(turn.shown[place] for place in listed),
        missing=tuple(turn.shown[place] for place in permutation.missing),
    )


def shortened(text: str, limit: int) -> str:
    """`text`, cut after `limit` characters, which it then says."""
    left_out = len(text) - limit
    return text if left_out <= 0 else f"{text[:limit]} … [{left_out:,} characters left out of this report]"
