"""A model behind an OpenAI-compatible server, with many conversations at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator

import openai
from openai.types.chat import ChatCompletion

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import Begin, Item, Items, LanguageModel, Result, advance
from dataset_builder.language_models.cost import Budget
from dataset_builder.language_models.openai_server import OpenAIServer, chat_answer, filtered, input_error
from retrieval.errors import InputError

# A slow item holds back the output, not the work: so many times `concurrency` items may wait behind it.
ITEMS_AHEAD = 4
# A body that is no completion is no answer; the client retries only what the status line tells.
BROKEN_BODIES = 5


class LiveModel(LanguageModel):
    """Leads up to `concurrency` conversations at once; a conversation's own requests follow one another."""

    def __init__(
        self, cache: AnswerCache, budget: Budget, server: OpenAIServer, concurrency: int = 32
    ) -> None:
        super().__init__(cache, budget)
        self.server = server
        self.concurrency = concurrency
        self._failure: InputError | None = None

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`. The order of the output does not depend on that of the answers."""
        with asyncio.Runner() as runner:
            done = self._converse(items(), begin)
            try:
                while (pair := runner.run(_next(done))) is not None:
                    yield pair
            finally:
                runner.run(done.aclose())

    async def _converse(
        self, items: Iterable[Item], begin: Begin[Item, Result]
    ) -> AsyncGenerator[tuple[Item, Result]]:
        self._failure = None
        turn = asyncio.Semaphore(self.concurrency)
        talks: deque[asyncio.Task[tuple[Item, Result]]] = deque()
        async with self.server.async_client() as client:
            try:
                for item in items:
                    talks.append(asyncio.create_task(self._talk(client, turn, item, begin)))
                    while talks and (talks[0].done() or len(talks) >= ITEMS_AHEAD * self.concurrency):
                        yield await talks.popleft()
                while talks:
                    yield await talks.popleft()
            except InputError:
                # What is in flight is being paid: take it in. No new call is begun after a failure.
                await asyncio.gather(*talks, return_exceptions=True)
                raise
            finally:
                for talk in talks:
                    talk.cancel()

    async def _talk(
        self, client: openai.AsyncOpenAI, turn: asyncio.Semaphore, item: Item, begin: Begin[Item, Result]
    ) -> tuple[Item, Result]:
        async with turn:
            conversation = begin(item)
            step = advance(conversation, None)
            while isinstance(step, ChatRequest):
                step = advance(conversation, await self._answer(client, step))
            return item, step

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
            if request.fields:
                return ChatAnswer("", rejection=" ".join(str(error).split())[:300])
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


async def _next(done: AsyncGenerator[tuple[Item, Result]]) -> tuple[Item, Result] | None:
    return await anext(done, None)
