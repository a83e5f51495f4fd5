"""`python -m spaces_demo.serve --model NAME_OR_PATH`: rerank over HTTP, in the request shape of Cohere and Jina.

POST /rerank ranks documents, GET /health says that the server is ready, /docs shows the OpenAPI description.
It listens once the checkpoint is warm, scores one request at a time while others wait, and after SIGTERM
answers the requests it has before it ends. It knows no users: a proxy in front has to.
"""

import argparse
import asyncio
import socket
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypedDict

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, Discriminator, Field, StringConstraints, Tag

from retrieval.errors import InputError, run_cli

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_QUERY_CHARACTERS = 2000  # a query is read once for each document
MAX_WAITING = 200
JSON_BYTES_PER_CHARACTER = 12  # a character beyond the 65,536th, written as two escapes


class Ranked(TypedDict):
    """An entry of the checkpoint's answer. `corpus_id`: the document's index in the request."""

    corpus_id: int
    score: float


class Reranker(Protocol):
    """What this service needs of a TWOLAR checkpoint."""

    tokenizer: "PreTrainedTokenizerBase"

    def rank(self, query: str, passages: Sequence[str], top_k: int | None = None) -> list[Ranked]:
        """The best `top_k` passages, most relevant first."""

    def quantize(self) -> "Reranker":
        """The same checkpoint with int8 matrix products."""


def _unicode(text: str) -> str:
    text.encode()  # JSON can spell half a surrogate pair, which no tokenizer takes: ValueError
    return text


Text = Annotated[str, AfterValidator(_unicode)]


class Document(BaseModel):
    """A document's text."""

    text: Text


def _kind(document: object) -> str | None:
    if isinstance(document, str):
        return "string"
    return "object" if isinstance(document, dict | Document) else None


class RerankRequest(BaseModel):
    """Documents to put in order. Other fields of Cohere's and Jina's requests are accepted and ignored."""

    model: str | None = Field(None, description="The served checkpoint's name, or nothing.")
    query: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARACTERS)
    ]
    documents: list[
        Annotated[
            Annotated[Text, Tag("string")] | Annotated[Document, Tag("object")],
            Discriminator(
                _kind,
                custom_error_type="document",
                custom_error_message='Input should be a string or an object with "text"',
            ),
        ]
    ] = Field(min_length=1)
    top_n: int | None = Field(None, ge=1, description="Only the best so many; by default all.")
    return_documents: bool = Field(False, description="Repeat the documents' texts in the answer.")

    @property
    def texts(self) -> list[str]:
        """The documents as the checkpoint reads them."""
        return [document if isinstance(document, str) else document.text for document in self.documents]


class Result(BaseModel):
    """A document's place in the ranking."""

    index: int = Field(description="Of the document in the request, from 0.")
    relevance_score: float = Field(description="Higher is more relevant; not bounded.")
    document: Document | None = None


class Usage(BaseModel):
    """What the request held."""

    total_tokens: int = Field(description="Of the query and the documents, before any is cut.")


class RerankResponse(BaseModel):
    """The documents, most relevant first; ties keep the request's order."""

    id: str
    model: str
    results: list[Result]
    usage: Usage


class Health(BaseModel):
    """The checkpoint that answers, and how many requests it has now."""

    status: str
    model: str
    waiting: int


class Problem(BaseModel):
    """What is wrong with a request, in one line."""

    detail: str


class RerankService:
    """A warm checkpoint and the one thread that scores with it."""

    def __init__(self, model: Reranker, name: str, max_documents: int, max_characters: int) -> None:
        self.name = name
        self.max_documents = max_documents
        self.max_characters = max_characters
        self.waiting = 0
        self._model = model
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._model.rank("warm up", ["The first call is slow."])

    async def rerank(self, request: RerankRequest) -> RerankResponse:
        """The answer to a request.

        Raises:
            HTTPException: 404 for another model's name, 422 over a limit, 503 where too many wait.
        """
        self._check(request)
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, request)
        finally:
            self.waiting -= 1

    def _check(self, request: RerankRequest) -> None:
        if request.model not in (None, self.name):
            raise HTTPException(404, f"model: {request.model!r} is not served here, {self.name!r} is")
        if len(request.documents) > self.max_documents:
            raise HTTPException(
                422, f"documents: {len(request.documents):,}, more than {self.max_documents:,}; send fewer"
            )
        num_characters = sum(map(len, request.texts))
        if num_characters > self.max_characters:
            raise HTTPException(
                422,
                f"documents: {num_characters:,} characters, more than {self.max_characters:,}; send fewer",
            )
        if self.waiting >= MAX_WAITING:
            raise HTTPException(503, f"{self.waiting} requests wait; try again later", {"Retry-After": "5"})

    def _answer(self, request: RerankRequest) -> RerankResponse:
        texts = request.texts
        tokens = self._model.tokenizer([request.query, *texts], add_special_tokens=False, verbose=False)
        return RerankResponse(
            id=str(uuid.uuid4()),
            model=self.name,
            results=[
                Result(
                    index=ranked["corpus_id"],
                    relevance_score=ranked["score"],
                    document=Document(text=texts[ranked["corpus_id"]]) if request.return_documents else None,
                )
                for ranked in self._model.rank(request.query, texts, top_k=request.top_n)
            ],
            usage=Usage(total_tokens=sum(map(len, tokens["input_ids"]))),
        )


def build_app(service: RerankService) -> FastAPI:
    """The HTTP interface of a service."""
    app = FastAPI(title="TWOLAR reranker", description=f"Ranks documents with `{service.name}`.")
    problems: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem} for code in (404, 411, 413, 422, 503)
    }

    @app.post("/rerank", response_model_exclude_none=True, responses=problems)
    @app.post("/v1/rerank", response_model_exclude_none=True, include_in_schema=False)
    @app.post("/v2/rerank", response_model_exclude_none=True, include_in_schema=False)
    async def rerank(request: RerankRequest) -> RerankResponse:
        """Put documents in order of their relevance to a query."""
        return await service.rerank(request)

    @app.get("/health")
    async def health() -> Health:
        """Answers once the checkpoint is loaded and warm."""
        return Health(status="ok", model=service.name, waiting=service.waiting)

    @app.exception_handler(RequestValidationError)
    async def say_what_is_wrong(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:])
        return JSONResponse({"detail": f"{place}: {first['msg']}"}, 422)

    max_bytes = JSON_BYTES_PER_CHARACTER * service.max_characters + 2**20

    @app.middleware("http")
    async def limit_body(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        num_bytes = request.headers.get("content-length")
        if request.method == "POST" and num_bytes is None:
            return JSONResponse({"detail": "send the request's length (Content-Length)"}, 411)
        if int(num_bytes or 0) > max_bytes:
            return JSONResponse({"detail": f"a request may have {max_bytes:,} bytes; send less"}, 413)
        return await call_next(request)

    return app


def load_model(name: str, int8: bool) -> Reranker:
    """The checkpoint of this name, a folder or a repository on the Hub.

    Raises:
        InputError: where there is none, or it is none of TWOLAR's.
    """
    # Not before: it takes seconds to import, and --help does without.
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(name, trust_remote_code=True)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"--model {name}: cannot be loaded ({reason}); name a checkpoint") from error
    if not hasattr(model, "rank"):
        raise InputError(f"--model {name}: a {type(model).__name__}; name a TWOLAR checkpoint")
    if int8 and not hasattr(model, "quantize"):
        raise InputError(f"--model {name}: its code is too old for --int8; leave that out, or save it anew")
    return model.quantize() if int8 else model


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that holds the address but does not listen, so that no one is kept waiting while we load.

    Raises:
        InputError: where the address is taken, or not this machine's.
    """
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except (OSError, OverflowError) as error:
        holder.close()
        raise InputError(f"--host {host} --port {port}: {error}; choose another") from error
    return holder


def parsed_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m spaces_demo.serve", description=__doc__)
    parser.add_argument("--model", required=True, help="checkpoint: a folder or a Hub repository")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max_documents", type=int, default=1000, help="in a request")
    parser.add_argument("--max_characters", type=int, default=2_000_000, help="of a request's documents")
    parser.add_argument("--int8", action="store_true", help="int8 matrix products: faster on a CPU")
    return parser.parse_args()


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    arguments = parsed_arguments()
    holder = bound_socket(arguments.host, arguments.port)
    model = load_model(arguments.model, arguments.int8)
    folder = Path(arguments.model)
    name = folder.name if folder.is_absolute() else arguments.model  # no client needs to know our folders
    service = RerankService(model, name, arguments.max_documents, arguments.max_characters)
    uvicorn.Server(uvicorn.Config(build_app(service))).run(sockets=[holder])


if __name__ == "__main__":
    run_cli(main)
