"""A teacher behind an OpenAI-compatible server, asked for many pools at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator

import openai
from openai.types.chat import ChatCompletion

from dataset_builder.errors import InputError
from dataset_builder.records import RankingExample
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.answer_cache import AnswerCache
from dataset_builder.teachers.chat import ChatAnswer, ChatRequest
from dataset_builder.teachers.cost import Budget
from dataset_builder.teachers.listwise import ListwiseSettings, advance, begin_ranking
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.openai_server import OpenAIServer, chat_answer, filtered, input_error

# A slow pool holds back the output, not the work: so many times `concurrency` pools may wait behind it.
POOLS_AHEAD = 4
# A body that is no completion is no answer; the client retries only what the status line tells.
BROKEN_BODIES = 5


class OpenAITeacher(LLMTeacher):
    """Ranks up to `concurrency` pools at once; a pool's own requests follow one another."""

    def __init__(
        self,
        settings: ListwiseSettings,
        cache: AnswerCache,
        budget: Budget,
        server: OpenAIServer,
        concurrency: int = 32,
    ) -> None:
        super().__init__(settings, cache, budget)
        self.server = server
        self.concurrency = concurrency
        self._failure: InputError | None = None

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `LLMTeacher.label`. The order of the output does not depend on that of the answers."""
        with asyncio.Runner() as runner:
            labelled = self._label(examples)
            try:
                while (example := runner.run(_next(labelled))) is not None:
                    yield example
            finally:
                runner.run(labelled.aclose())

    async def _label(self, examples: Iterable[RankingExample]) -> AsyncGenerator[RankingExample]:
        self._failure = None
        turn = asyncio.Semaphore(self.concurrency)
        pools: deque[asyncio.Task[RankingExample]] = deque()
        async with self.server.async_client() as client:
            try:
                for example in examples:
                    pools.append(asyncio.create_task(self._rank(client, turn, example)))
                    while pools and (pools[0].done() or len(pools) >= POOLS_AHEAD * self.concurrency):
                        yield await pools.popleft()
                while pools:
                    yield await pools.popleft()
            except InputError:
                # What is in flight is being paid: take it in. No new call is begun after a failure.
                await asyncio.gather(*pools, return_exceptions=True)
                raise
            finally:
                for pool in pools:
                    pool.cancel()

    async def _rank(
        self, client: openai.AsyncOpenAI, turn: asyncio.Semaphore, example: RankingExample
    ) -> RankingExample:
        async with turn:
            ranking = begin_ranking(example, self.settings)
            step = advance(ranking, None)
            while not isinstance(step, TeacherAnswer):
                step = advance(ranking, await self._answer(client, step))
            return self._labelled(example, step)

    async def _answer(self, client: openai.AsyncOpenAI, request: ChatRequest) -> ChatAnswer:
        known = self.cache.get(request)
        if known is not None:
            return known
        if self._failure is not None:
            raise self._failure
        try:
            self.budget.check()
            answer = await self._ask(client, request)
        except InputError as failure:
            self._failure = failure
            raise
        self.cache.put(request.key, request.model, answer)
        return answer

    async def _ask(self, client: openai.AsyncOpenAI, request: ChatRequest) -> ChatAnswer:
        try:
            return await self._complete(client, request)
        except openai.BadRequestError as error:
            if filtered(error):
                return ChatAnswer("", refusal="declined by the server's content filter")
            raise input_error(error, self.server) from None
        except openai.OpenAIError as error:
            raise input_error(error, self.server) from None

    async def _complete(self, client: openai.AsyncOpenAI, request: ChatRequest) -> ChatAnswer:
        body = request.payload()
        for _ in range(BROKEN_BODIES):
            try:
                completion = await client.post("/chat/completions", cast_to=ChatCompletion, body=body)
                return chat_answer(completion, request)
            except ValueError:
                continue
        raise InputError(
            f"{self.server.base_url or 'OpenAI'} sent {BROKEN_BODIES} answers that are no chat completion; "
            "does it speak /chat/completions?"
        )


async def _next(labelled: AsyncGenerator[RankingExample]) -> RankingExample | None:
    return await anext(labelled, None)
