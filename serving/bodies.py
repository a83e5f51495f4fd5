"""Requests' bodies, read whole before the application sees them: of bounded size, in bounded time and memory.

Until a refused body has arrived, the server throws away what comes of it.
"""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Larger bodies take one of few places, from there on until they are answered.
SMALL_BODY = 2**18
LARGE_BODIES = 8


@dataclass(frozen=True)
class BodyLimits:
    """`max_bytes`: of a body. `seconds`: for it to arrive, the wait for a place included."""

    max_bytes: int
    seconds: float


class Refused(Exception):
    """Why a body is not read, as its answer says it. Who sent half a body in time has its connection closed."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        headers = {408: {"Connection": "close"}, 503: {"Retry-After": "5"}}
        self.answer = JSONResponse({"detail": detail}, code, headers.get(code))


class Bodies:
    """ASGI middleware that reads bodies within limits, with or without a Content-Length.

    408: it did not come in time. 413: it is too large. 503: others that are as large were in the way all the time.
    """

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._places = asyncio.Semaphore(LARGE_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body = _Body(self._limits, self._places)
        try:
            await body.read(Headers(scope=scope), receive)
            await self._app(scope, body.given_again(receive), send)
        except Refused as refused:
            await refused.answer(scope, receive, send)
        finally:
            body.give_place_back()


class _Body:
    def __init__(self, limits: BodyLimits, places: asyncio.Semaphore) -> None:
        self._limits = limits
        self._places = places
        self._has_place = False
        self._bytes = bytearray()

    async def read(self, headers: Headers, receive: Receive) -> None:
        """Take what comes until the end.

        Raises:
            Refused: for a body beyond the limits.
        """
        if int(headers.get("content-length", 0)) > self._limits.max_bytes:
            raise self._too_large()
        seconds = self._limits.seconds
        waits_for_place = False
        try:
            async with asyncio.timeout(seconds):
                more = True
                while more:
                    more = await self._read_chunk(receive)
                    if len(self._bytes) > SMALL_BODY and not self._has_place:
                        waits_for_place = True
                        self._has_place = await self._places.acquire()
                        waits_for_place = False
        except TimeoutError as error:
            if waits_for_place:
                raise Refused(503, "too many large requests at once; try again later") from error
            raise Refused(408, f"the request did not arrive in {seconds:g} seconds; send it again") from error

    async def _read_chunk(self, receive: Receive) -> bool:
        """Whether there is more."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "the request ended early")  # no one is there to read it
        self._bytes += message.get("body", b"")
        if len(self._bytes) > self._limits.max_bytes:
            raise self._too_large()
        return bool(message.get("more_body", False))

    def _too_large(self) -> Refused:
        return Refused(413, f"a request may have {self._limits.max_bytes:,} bytes; send less")

    def given_again(self, receive: Receive) -> Receive:
        """A `receive` that gives the body, then what the server says: that the client has gone."""
        unread = [bytes(self._bytes)]
        self._bytes.clear()

        async def receive_body() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            return await receive()

        return receive_body

    def give_place_back(self) -> None:
        """Let another large body in."""
        if self._has_place:
            self._places.release()
            self._has_place = False
