"""uvicorn with what it lacks: a bound on open connections, a time for a request's head, and an end that comes."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from retrieval.errors import InputError

# After the time for the last answers, so many seconds to write them out.
LAST_WORDS = 3
# Seconds for a refused client to read why.
LINGER = 1


class Connection(H11Protocol):
    """A client's connection: refused above a bound, and closed where it sends half of a request's head, and waits."""

    max_connections: int
    head_seconds: float
    _head_timer: asyncio.TimerHandle | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it with 503."""
        super().connection_made(transport)
        if len(self.connections) > 2 * self.max_connections:
            transport.abort()
        elif len(self.connections) > self.max_connections:
            self._refuse(transport)
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Read on; the clock runs while no request is being answered."""
        if not self._is_refused:
            super().data_received(data)
            self._watch_head()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of one that was refused."""
        super().on_response_complete()
        self._stop_watching()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _refuse(self, transport: asyncio.Transport) -> None:
        """Answer, and close a moment later: a client that is still sending would not see an answer before a reset."""
        self._is_refused = True
        transport.write(_too_many(self.max_connections))
        transport.write_eof()
        self.loop.call_later(LINGER, transport.close)

    def _watch_head(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering:
            self._stop_watching()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _too_many(max_connections: int) -> bytes:
    body = json.dumps({"detail": f"{max_connections:,} connections are open; try again later"}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


class Server(uvicorn.Server):
    """After SIGTERM or Ctrl-C it answers what it has, for a time, and then ends whatever its clients do."""

    def __init__(
        self,
        app: Callable[..., Any],
        *,
        max_connections: int,
        head_seconds: float,
        answer_seconds: float,
        end: Callable[[], None],
    ) -> None:
        """
        Args:
            app: the application.
            max_connections: that clients may hold open at once.
            head_seconds: for a request's head to arrive, and for the rest of a body that was refused.
            answer_seconds: after SIGTERM, for the requests that are there.
            end: called when that time is over; has every request that still waits answered.
        """
        bounded = type(
            "BoundedConnection",
            (Connection,),
            {"max_connections": max_connections, "head_seconds": head_seconds},
        )
        super().__init__(
            uvicorn.Config(
                app, http=bounded, ws="none", timeout_graceful_shutdown=round(answer_seconds) + LAST_WORDS
            )
        )
        self._answer_seconds = answer_seconds
        self._end = end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what there is, and close."""
        asyncio.get_running_loop().call_later(self._answer_seconds, self._end)
        await super().shutdown(sockets)

    @property
    def num_connections(self) -> int:
        """How many connections clients hold open."""
        return len(self.server_state.connections)


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that holds the address but does not listen, so that no one is kept waiting while we load.

    Raises:
        InputError: where the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio lets small answers go at once (TCP_NODELAY) only where the protocol is named; else they wait 40 ms.
    holder = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except (OSError, OverflowError) as error:
        holder.close()
        raise InputError(f"--host {host} --port {port}: {error}; choose another") from error
    return holder
