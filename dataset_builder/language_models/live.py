"""A model behind an OpenAI-compatible server, with many conversations at once."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.asker import Asker
from dataset_builder.language_models.budget import Budget
from dataset_builder.language_models.chat import ChatRequest
from dataset_builder.language_models.conversation import Begin, Item, Items, LanguageModel, Result, advance
from dataset_builder.language_models.openai_server import OpenAIServer
from dataset_builder.language_models.rate_limit import NO_LIMIT, RateLimit
from retrieval.errors import InputError

# A slow item holds back the output, not the work: so many times `concurrency` items may wait behind it.
ITEMS_AHEAD = 4


class LiveModel(LanguageModel):
    """Leads up to `concurrency` conversations at once; a conversation's own requests follow one another."""

    def __init__(
        self,
        cache: AnswerCache,
        budget: Budget,
        server: OpenAIServer,
        concurrency: int = 32,
        limit: RateLimit = NO_LIMIT,
    ) -> None:
        super().__init__(cache, budget)
        self.server = server
        self.concurrency = concurrency
        self.limit = limit

    def converse(self, items: Items[Item], begin: Begin[Item, Result]) -> Iterator[tuple[Item, Result]]:
        """See `LanguageModel.converse`. The order of the output does not depend on that of the answers."""
        with asyncio.Runner() as runner:
            done = self._converse(items(), begin)
            try:
                while (pair := runner.run(_next(done))) is not None:
                    yield pair
            finally:
                runner.run(done.aclose())
                self.budget.note_uses()

    async def _converse(
        self, items: Iterable[Item], begin: Begin[Item, Result]
    ) -> AsyncGenerator[tuple[Item, Result]]:
        turn = asyncio.Semaphore(self.concurrency)
        talks: deque[asyncio.Task[tuple[Item, Result]]] = deque()
        async with self.server.async_client() as client:
            asker = Asker(
                client, self.server, self.cache, self.budget, self.pace, self.limit, self.concurrency
            )
            try:
                for item in items:
                    talks.append(asyncio.create_task(self._talk(asker, turn, item, begin)))
                    while talks and (talks[0].done() or len(talks) >= ITEMS_AHEAD * self.concurrency):
                        yield await talks.popleft()
                while talks:
                    yield await talks.popleft()
            except InputError as failure:
                asker.stop(failure)
                # What is in flight is being paid: take it in. No new call is begun after a failure.
                await asyncio.gather(*talks, return_exceptions=True)
                raise
            finally:
                for talk in talks:
                    talk.cancel()

    async def _talk(
        self, asker: Asker, turn: asyncio.Semaphore, item: Item, begin: Begin[Item, Result]
    ) -> tuple[Item, Result]:
        async with turn:
            conversation = begin(item)
            step = advance(conversation, None)
            calls = 0
            while isinstance(step, ChatRequest):
                step = advance(conversation, await asker.ask(step))
                calls += 1
            self.pace.finish(calls)
            return item, step


async def _next(done: AsyncGenerator[tuple[Item, Result]]) -> tuple[Item, Result] | None:
    return await anext(done, None)
