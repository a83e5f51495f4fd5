"""The HTTP interface: /rerank in the shapes of Cohere, Jina, Voyage and TEI, /v1/models, /health, /metrics, /docs."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from serving.bodies import Bodies, BodyLimits
from serving.keys import RequireKey
from serving.metrics import CountRequests, Metrics
from serving.service import RerankService
from serving.shapes import Answer, RerankRequest

JSON_BYTES_PER_CHARACTER = 12  # a character beyond the 65,536th, written as two escapes
CLIENT_HAS_GONE = 499
# pydantic's words for a body that is a list, a text, not sent as JSON, or none.
NO_OBJECT = ("model_attributes_type", "missing")
NEEDS_OBJECT = "the body should be a JSON object, sent with Content-Type: application/json"


class Health(TypedDict):
    """The checkpoint that answers by default, and how many requests wait for scores now."""

    status: str
    model: str
    waiting: int


class ServedModel(TypedDict):
    """A checkpoint, in OpenAI's words."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ServedModels(TypedDict):
    """The checkpoints that a request may name."""

    object: Literal["list"]
    data: list[ServedModel]


class Problem(TypedDict):
    """What is wrong with a request, in one line."""

    detail: str


@dataclass(frozen=True)
class Access:
    """Who may ask. `key`: None where nobody has to know one. `cors_origins`: whose pages may ask from a browser."""

    key: str | None = None
    cors_origins: Sequence[str] = ()


def build_app(
    service: RerankService, metrics: Metrics, access: Access = Access(), body_seconds: float = 15
) -> FastAPI:
    """The HTTP interface of a service. `body_seconds`: for a request's body to arrive."""
    app = FastAPI(title="TWOLAR reranker", description=f"Ranks documents with {', '.join(service.names)}.")
    _add_routes(app, service, metrics)
    app.add_exception_handler(RequestValidationError, _say_what_is_wrong)
    max_bytes = JSON_BYTES_PER_CHARACTER * service.limits.max_characters + 2**20
    # What is added last comes first.
    app.add_middleware(Bodies, limits=BodyLimits(max_bytes, body_seconds))
    if access.key is not None:
        app.add_middleware(RequireKey, key=access.key)
    app.add_middleware(CountRequests, metrics=metrics)
    if access.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=access.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    return app


def _add_routes(app: FastAPI, service: RerankService, metrics: Metrics) -> None:
    problems: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem} for code in (401, 404, 408, 413, 422, 500, 503)
    }
    problems[200] = {"model": Answer, "description": "In the shape of the request."}

    @app.post("/rerank", responses=problems)
    @app.post("/v1/rerank", include_in_schema=False)
    @app.post("/v2/rerank", include_in_schema=False)
    async def rerank(request: RerankRequest, connection: Request) -> Response:
        """Put documents in order of their relevance to a query."""
        return JSONResponse(await _unless_gone(connection, service.rerank(request)))

    @app.get("/v1/models")
    async def models() -> ServedModels:
        """The checkpoints that a request may name; the first answers where it names none."""
        served = [
            ServedModel(id=name, object="model", created=0, owned_by="twolar") for name in service.names
        ]
        return ServedModels(object="list", data=served)

    @app.get("/health")
    async def health() -> Health:
        """Answers once the checkpoints are loaded and warm."""
        return Health(status="ok", model=service.names[0], waiting=service.waiting)

    @app.get("/metrics", response_class=Response)
    async def metrics_page() -> Response:
        """Counts of requests and of what was scored, for Prometheus."""
        page, media_type = metrics.page()
        return Response(page, media_type=media_type)


async def _unless_gone(connection: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer; work for a client that closes its connection is given up."""
    answer = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(connection))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise HTTPException(CLIENT_HAS_GONE, "the client has closed its connection")
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _disconnected(connection: Request) -> None:
    while (await connection.receive())["type"] != "http.disconnect":
        pass


async def _say_what_is_wrong(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:])
    if not place and first["type"] in NO_OBJECT:
        return JSONResponse({"detail": NEEDS_OBJECT}, 422)
    return JSONResponse({"detail": f"{place}: {first['msg']}" if place else first["msg"]}, 422)
