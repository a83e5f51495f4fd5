"""More than a server can do, and SIGTERM in the middle of it: `python -m benchmarks.serving_storm --model FOLDER`.

Many clients ask again and again, some with 10 MB, while other connections hang with half of a request. Each request
that was sent whole before SIGTERM has to be answered, with whatever code, and the server has to end within 30 seconds.
"""

import argparse
import http.client
import itertools
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.serving import OURS, Body, Running, request_bodies, running
from retrieval.errors import run_cli

LARGE = b'{"query": "x", "documents": ["' + b"x" * 10_000_000 + b'"]}'
HALF_HEAD = b"POST /rerank HTTP/1.1\r\nHost: x\r\nContent-Le"
HALF_BODY = (
    b'POST /rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"que'
)
END_WITHIN = 30
# Before SIGTERM, so many seconds: what was sent earlier has been taken from the system's queue.
TAKEN_AFTER = 1.0


@dataclass
class Storm:
    """What the clients saw. `unanswered`: when each request without an answer had been sent."""

    server: Running
    codes: Counter[int] = field(default_factory=Counter)
    unanswered: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def ask_on(self, bodies: list[Body]) -> None:
        """Ask again and again, each time over a connection of its own, until the storm is over."""
        for body in itertools.cycle(bodies):
            if self.over.is_set():
                return
            self._ask(body)

    def _ask(self, body: Body) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        sent = float("inf")
        try:
            connection.request("POST", "/rerank", body, {"Content-Type": "application/json"})
            sent = time.monotonic()
            self.codes[connection.getresponse().status] += 1
        except (OSError, http.client.HTTPException):
            self.unanswered.append(sent)
            time.sleep(0.1)
        finally:
            connection.close()


def main() -> None:
    """Raise the storm, end the server, and say what was seen; exit code 1 where something was left unanswered."""
    arguments = _parser().parse_args()
    bodies = request_bodies(documents=20, words=12)
    with running(OURS, arguments.model) as server:
        storm = Storm(server)
        clients = [
            threading.Thread(target=storm.ask_on, args=(_shuffled(bodies, client),))
            for client in range(arguments.clients)
        ]
        hanging = [_half_sent(server, text) for text in [HALF_HEAD, HALF_BODY] * (arguments.half_sent // 2)]
        for client in clients:
            client.start()
        peak = _peak_memory(server, arguments.seconds)
        hanging += [_half_sent(server, text) for text in [HALF_HEAD, HALF_BODY] * (arguments.half_sent // 2)]
        ended = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=10 * END_WITHIN)
        took = time.monotonic() - ended
        storm.over.set()
        for client in clients:
            client.join()
    lost = sum(sent < ended - TAKEN_AFTER for sent in storm.unanswered)
    print(f"{sum(storm.codes.values())} answers, by code: {dict(sorted(storm.codes.items()))}")
    print(f"{lost} sent whole before SIGTERM and not answered; ended {took:.1f} s after it")
    print(f"{len(hanging)} connections hung with half of a request; peak memory {peak / 2**20:,.0f} MiB")
    if lost or took > END_WITHIN:
        sys.exit(1)


def _shuffled(bodies: Iterator[Body], client: int) -> list[Body]:
    """Nine short requests and a large one; which one of ten clients begins with."""
    small = [next(bodies) for _ in range(9)]
    place = client % 10
    return [*small[:place], LARGE, *small[place:]]


def _peak_memory(server: Running, seconds: float) -> int:
    """The most bytes that the server held while these seconds went by."""
    peak, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        peak = max(peak, int(server.process.memory_info().rss))
        time.sleep(0.1)
    return peak


def _half_sent(server: Running, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    connection.sendall(text)
    return connection


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_storm", description=__doc__)
    add = parser.add_argument
    add("--model", required=True, help="a checkpoint's folder")
    add("--clients", type=int, default=200)
    add("--half_sent", type=int, default=100, help="connections that hang, before and again at SIGTERM")
    add("--seconds", type=float, default=20, help="before SIGTERM")
    return parser


if __name__ == "__main__":
    run_cli(main)
