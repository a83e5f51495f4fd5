"""Requests checked, scored beside others', and answered."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import HTTPException

from serving.checkpoints import Reranker, relevance_of
from serving.scorer import CannotScore, Scorer, ScoringEnded
from serving.shapes import Answer, RerankRequest, answer

RETRY_AFTER = {"Retry-After": "5"}


@dataclass(frozen=True)
class Limits:
    """What a request may hold, and how many may wait."""

    max_documents: int = 1000
    max_characters: int = 2_000_000
    max_waiting: int = 200


class RerankService:
    """Warm checkpoints by their names, the first of which is the default."""

    def __init__(self, checkpoints: Mapping[str, Reranker], limits: Limits, scorer: Scorer) -> None:
        self.names = list(checkpoints)
        self.limits = limits
        self.waiting = 0
        self._checkpoints = checkpoints
        self._scorer = scorer
        for model in checkpoints.values():
            model.score([("warm up", "The first call is slow.")])

    async def rerank(self, request: RerankRequest) -> Answer:
        """The answer to a request. One that is cancelled is not scored any further.

        Raises:
            HTTPException: 404 for a model that is not served, 422 over a limit, 500 where the checkpoint fails, 503
                where too many wait or the service ends.
        """
        name = self._checked(request)
        model = self._checkpoints[name]
        self.waiting += 1
        try:
            scored = await asyncio.wrap_future(self._scorer.submit(model, request.query, request.passages))
        except CannotScore as error:
            raise HTTPException(500, f"{name} cannot score this request: {error}") from error
        except ScoringEnded as error:
            raise HTTPException(503, "the service ends; ask another", RETRY_AFTER) from error
        finally:
            self.waiting -= 1
        shown = relevance_of(model, scored.scores) if request.wants_relevance else scored.scores
        return answer(request, scored, shown, name)

    def _checked(self, request: RerankRequest) -> str:
        """The name of the checkpoint to ask."""
        name = request.model or self.names[0]
        if name not in self._checkpoints:
            raise HTTPException(404, f"model: {name!r} is not served here, {', '.join(self.names)} is")
        limits = self.limits
        if len(request.passages) > limits.max_documents:
            raise HTTPException(
                422, f"documents: {len(request.passages):,}, more than {limits.max_documents:,}; send fewer"
            )
        num_characters = sum(map(len, request.passages))
        if num_characters > limits.max_characters:
            raise HTTPException(
                422,
                f"documents: {num_characters:,} characters, more than {limits.max_characters:,}; send fewer",
            )
        if self.waiting >= limits.max_waiting:
            raise HTTPException(503, f"{self.waiting} requests wait; try again later", RETRY_AFTER)
        return name
