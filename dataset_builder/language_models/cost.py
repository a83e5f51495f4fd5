"""What labelling costs, estimated before anything is sent."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import advance
from dataset_builder.language_models.prices import Price


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is still to be paid, tokens estimated from characters. `cost`: None where no price is known."""

    queries: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None

    def scaled(self, factor: float) -> "Estimate":
        """The same for `factor` times the queries."""
        return Estimate(
            round(self.queries * factor),
            round(self.calls * factor),
            round(self.prompt_tokens * factor),
            round(self.completion_tokens * factor),
            None if self.cost is None else self.cost * factor,
        )

    def __str__(self) -> str:
        cost = "cost unknown (no price for this model)" if self.cost is None else f"about ${self.cost:,.2f}"
        return (
            f"{self.queries:,} queries, {self.calls:,} calls still to pay, "
            f"about {self.prompt_tokens:,} prompt and {self.completion_tokens:,} answer tokens "
            f"(without reasoning or repeated requests), {cost}"
        )


def estimate(
    conversations: Iterable[Generator[ChatRequest, ChatAnswer, object]],
    cache: AnswerCache,
    price: Price | None,
    batch: bool = False,
) -> Estimate:
    """What these conversations will still take, with every answer usable; nothing is sent.

    The very requests of a run are made; answers in the cache are used, a missing one is taken to be what its request
    calls the simplest (`ChatRequest.assumed_answer`). A request that several make is paid once.
    """
    counted: set[str] = set()
    queries = calls = prompt_tokens = completion_tokens = 0
    for conversation in conversations:
        queries += 1
        for request in _missing_requests(conversation, cache):
            if request.key in counted:
                continue
            counted.add(request.key)
            prompt, completion = request.estimated_tokens
            calls += 1
            prompt_tokens += prompt
            completion_tokens += completion
    cost = None if price is None else price.cost(prompt_tokens, completion_tokens, batch)
    return Estimate(queries, calls, prompt_tokens, completion_tokens, cost)


def _missing_requests(
    conversation: Generator[ChatRequest, ChatAnswer, object], cache: AnswerCache
) -> Iterator[ChatRequest]:
    step = advance(conversation, None)
    while isinstance(step, ChatRequest):
        answer = cache.get(step)
        if answer is None:
            yield step
            answer = step.assumed_answer
        step = advance(conversation, answer)
