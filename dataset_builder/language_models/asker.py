"""One request to a server, until it has an outcome: limits kept, errors understood, retries made."""

import asyncio
import json
import math
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import openai
import tenacity
from filelock import AsyncFileLock

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest, Outcome
from dataset_builder.language_models.completion import outcome_of, read_completion
from dataset_builder.language_models.dialect import ServerDialect
from dataset_builder.language_models.faults import Meaning, ServerFault, fatal_error, fault_in
from dataset_builder.language_models.ledger import DONE, LOST
from dataset_builder.language_models.notes import note
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.pace import Pace
from dataset_builder.language_models.rate_limit import Gate, RateLimit, pause_of, retry_after
from dataset_builder.language_models.retries import LONGEST_BACKOFF, Hopeless, may_pass, seconds_to_wait
from dataset_builder.language_models.tally import Tally
from retrieval.errors import InputError

# A server that asks for a longer wait will not answer today's build.
LONGEST_PAUSE = 3600.0
PROBE_LOCK = "probe.lock"


class Asker:
    """Asks `server`, at most `concurrency` requests at once. For one event loop."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        server: OpenAIServer,
        cache: AnswerCache,
        budget: Budget,
        pace: Pace,
        limit: RateLimit,
        concurrency: int,
    ) -> None:
        self._client = client
        self._server = server
        self._cache = cache
        self._budget = budget
        self._pace = pace
        self._limit = limit
        self._gate = Gate(concurrency)
        self._dialect = ServerDialect(budget.ledger, server.name, budget.model)
        self._tally = Tally(server.name)
        self._rejected_now: set[str] = set()
        self._asking: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._turn = asyncio.Lock()
        self._stop = asyncio.Event()
        self._failure: InputError | None = None
        self._last_answer = -math.inf
        self._answered_since_given_up = False

    async def ask(self, request: ChatRequest) -> ChatAnswer:
        """The answer to `request`, its refusal or its rejection, from the cache or paid for.

        Raises:
            InputError: where no request will be answered any more.
        """
        asking = self._asking.setdefault(request.key, asyncio.Lock())
        async with asking, self._first(request):
            self._tally.begin()
            answer = self._known(request) or await self._ask(request)
            if _is_aside(request, answer):
                self._tally.forget()
        self._budget.use(request, answer)
        self._pace.ask()
        return answer

    @asynccontextmanager
    async def _first(self, request: ChatRequest) -> AsyncIterator[None]:
        """All tasks of a build begin with the same probe: one asks, the others wait for its answer."""
        if not _is_probe(request):
            yield
            return
        self._cache.folder.mkdir(parents=True, exist_ok=True)
        async with AsyncFileLock(self._cache.folder / PROBE_LOCK):
            self._cache.look(at_once=True)
            yield

    def stop(self, failure: InputError) -> None:
        """Begin no new call."""
        self._failure = self._failure or failure
        self._stop.set()

    def _known(self, request: ChatRequest) -> ChatAnswer | None:
        """A rejection by an earlier run may not hold for the server as it is now; asking again costs nothing, but
        where the conversation went another way, what was paid on it would be paid again."""
        self._cache.look()
        known = self._cache.get(request)
        if known is None or known.outcome is not Outcome.REJECTED or request.has_fallback:
            return known
        return known if request.key in self._rejected_now else None

    async def _ask(self, request: ChatRequest) -> ChatAnswer:
        try:
            answer = await self._outcome(request)
            if answer.outcome is Outcome.REJECTED:
                self._rejected_now.add(request.key)
                self._reject(request, answer)
            return answer
        except InputError as failure:
            self.stop(failure)
            raise

    def _reject(self, request: ChatRequest, answer: ChatAnswer) -> None:
        if not _is_aside(request, answer):
            self._tally.reject(answer, bool(request.fields))
        elif _is_probe(request):
            note(f"{self._server.name} takes no JSON schema ({answer.rejection}); it is asked for text")

    async def _outcome(self, request: ChatRequest) -> ChatAnswer:
        retries = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=seconds_to_wait,
            stop=Hopeless(self._server.max_retries, self._cache),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return await retries(self._try, request)
        except ServerFault as fault:
            answer = self._final(request, fault)
        self._cache.put(request.key, request.model, answer)
        return answer

    def _final(self, request: ChatRequest, fault: ServerFault) -> ChatAnswer:
        """What a fault that stays makes of the request.

        Raises:
            InputError: where it is not the request that is at fault.
        """
        answer = outcome_of(fault)
        if answer is not None:
            return answer
        only_this = self._is_alive() or (_is_probe(request) and fault.status > 0)
        if fault.meaning is Meaning.FATAL or not only_this:
            raise fatal_error(fault, self._server)
        self._answered_since_given_up = False
        return ChatAnswer("", rejection=f"failed {self._server.max_retries + 1} times: {fault.words}")

    def _is_alive(self) -> bool:
        """Whether other requests are answered while one fails. Of one at a time, that the one before was."""
        if self._gate.most == 1:
            return self._answered_since_given_up
        return time.monotonic() - self._last_answer < LONGEST_BACKOFF

    async def _try(self, request: ChatRequest) -> ChatAnswer:
        """Ask once, or once more for each parameter that the server does not take as we spelled it."""
        while True:
            body = {**self._dialect.body(request.payload()), **self._server.own_fields(request)}
            try:
                return await self._send(request, body)
            except ServerFault as fault:
                if not self._dialect.learn(fault, body):
                    raise

    async def _send(self, request: ChatRequest, body: dict[str, object]) -> ChatAnswer:
        async with self._gate:
            number = await self._reserved(request)
            self._pace.begin()
            try:
                response = await self._post(body)
                answer = read_completion(_parsed(response.text), request)
            except ServerFault as fault:
                self._budget.ledger.end(number, LOST if fault.may_be_paid else DONE, time.time())
                self._heed(fault)
                raise
            self._cache.put(request.key, request.model, answer)
            self._budget.settle(number, request, answer)
            self._pace.buy()
            self._dialect.taken = self._answered_since_given_up = True
            self._last_answer = time.monotonic()
            self._gate.answered()
            self._pause(pause_of(response.headers, answer.prompt_tokens + answer.completion_tokens))
            return answer

    async def _reserved(self, request: ChatRequest) -> int:
        """Wait for the request's turn; one at a time does, in order."""
        async with self._turn:
            while True:
                if self._failure is not None:
                    raise self._failure
                turn = self._budget.turn(self._server.name, request, self._limit)
                if turn.number is not None:
                    return turn.number
                await self._sleep(turn.wait)

    async def _post(self, body: dict[str, object]) -> httpx2.Response:
        try:
            return await self._client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        except openai.APIStatusError as error:
            wait = retry_after(error.response.headers, time.time())
            raise fault_in(_body(error.response), error.status_code, wait) from None
        except openai.APIConnectionError as error:
            never_sent = isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise ServerFault(_cause(error), may_be_paid=not never_sent) from None

    def _heed(self, fault: ServerFault) -> None:
        if fault.meaning is Meaning.BUSY:
            self._gate.busy()
            self._pause(fault.retry_after or 0.0)

    def _pause(self, seconds: float) -> None:
        if seconds > LONGEST_PAUSE:
            raise InputError(
                f"{self._server.name} asks to wait for {seconds / 3600:.1f} hours; all answers are kept: run the "
                "same command again then"
            )
        if seconds > 0:
            self._budget.ledger.pause(self._server.name, time.time() + seconds)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not beyond a failure of another request.

        Raises:
            InputError: that failure.
        """
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        if self._failure is not None:
            raise self._failure


def _is_probe(request: ChatRequest) -> bool:
    return request.has_fallback and not request.num_listed


def _is_aside(request: ChatRequest, answer: ChatAnswer) -> bool:
    """Whether it says nothing of the pools: of a probe, and of a rejection after which another way is gone."""
    goes_on = answer.outcome is Outcome.REJECTED and not answer.too_long
    return _is_probe(request) or (request.has_fallback and goes_on)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise ServerFault(f"not JSON but: {text}", may_be_paid=True) from None


def _body(response: httpx2.Response) -> object:
    try:
        return response.json()
    except ValueError:
        return response.text or response.reason_phrase


def _cause(error: openai.APIConnectionError) -> str:
    return f"{error.message} {error.__cause__ or ''}"
