"""Requests answered in a second, by one client and by many: `python -m benchmarks.serving --help`.

Each server is a process of its own; they take turns over several rounds, and the others wait meanwhile. CPU time is the
server's, from the system's account: unlike the clock it hardly changes with what else the machine does; cores divided
by CPU-seconds a request is the most that these cores can answer.
"""

import argparse
import http.client
import itertools
import json
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil

from retrieval.corpus import read_corpus
from retrieval.errors import InputError, run_cli
from retrieval.named import parse_named

OURS = f"ours={sys.executable} -m serving --model {{model}} --port {{port}}"
Body = bytes


@dataclass(frozen=True)
class Turn:
    """One server asked by so many clients. `cpu`: the server's seconds of it; `latencies`: seconds, of each request."""

    seconds: float
    cpu: float
    latencies: list[float]

    @property
    def requests_per_second(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds

    @property
    def p95(self) -> float:
        """The seconds within which 95% were answered."""
        return quantiles(self.latencies, n=20)[-1]


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    name: str
    port: int
    process: psutil.Process

    def ask(self, connection: http.client.HTTPConnection, body: Body) -> float:
        """Seconds until the answer was there."""
        started = time.perf_counter()
        connection.request("POST", "/rerank", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise InputError(f"{self.name} answered {answer.status}: {text.decode()}")
        return time.perf_counter() - started

    def cpu_seconds(self) -> float:
        """CPU time that the server has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def main() -> None:
    """Start the servers, let them take turns, and print a table."""
    arguments = _parser().parse_args()
    bodies = request_bodies(arguments.documents, arguments.words)
    turns: dict[tuple[str, int], list[Turn]] = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(running(spec, arguments.model)) for spec in arguments.server]
        for server in servers:
            turn(server, 2, 4, bodies)
        for _ in range(arguments.rounds):
            for server, clients in itertools.product(servers, arguments.clients):
                found = turn(server, clients, arguments.requests, bodies)
                turns.setdefault((server.name, clients), []).append(found)
                print(
                    f"{server.name}, {clients}: {found.requests_per_second:.1f} requests/s", file=sys.stderr
                )
    print(table(turns))


def turn(server: Running, clients: int, requests: int, bodies: Iterator[Body]) -> Turn:
    """So many requests by clients that each ask again as soon as they have their answer, over one connection each."""
    shares = [
        [next(bodies) for _ in range(len(range(client, requests, clients)))] for client in range(clients)
    ]

    def ask_all(share: list[Body]) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
        try:
            return [server.ask(connection, body) for body in share]
        finally:
            connection.close()

    cpu, started = server.cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        latencies = [seconds for share in pool.map(ask_all, shares) for seconds in share]
    return Turn(time.perf_counter() - started, server.cpu_seconds() - cpu, latencies)


def request_bodies(documents: int, words: int) -> Iterator[Body]:
    """Requests without end: a docstring's first words ask for those of others; no two are alike within a turn."""
    texts = [" ".join(passage.text.split()[:words]) for passage in read_corpus("python-stdlib")]
    texts = [text for text in texts if len(text.split()) == words]
    found = itertools.cycle(texts)
    while True:
        query = " ".join(next(found).split()[:6])
        request = {"query": query, "documents": list(itertools.islice(found, documents))}
        yield json.dumps(request).encode()


@contextmanager
def running(spec: str, model: str) -> Iterator[Running]:
    """The server of `NAME=COMMAND`, up and warm; it ends afterwards.

    Raises:
        InputError: where it does not come up.
    """
    name, command = parse_named(spec)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = shlex.split(command.format(model=Path(model).resolve(), port=port))
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_up(name, port, process)
        yield Running(name, port, psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()


def _wait_until_up(name: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise InputError(f"{name} ended with code {process.returncode}; run its command by itself to see why")


def table(turns: dict[tuple[str, int], list[Turn]]) -> str:
    """Medians over the rounds, in Markdown."""
    lines = [
        "| server | clients | requests/s | p50 | p95 | CPU-seconds a request |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (name, clients), found in turns.items():
        values = (
            f"{median(each.requests_per_second for each in found):.1f}",
            f"{median(median(each.latencies) for each in found):.3f} s",
            f"{median(each.p95 for each in found):.3f} s",
            f"{median(each.cpu / len(each.latencies) for each in found):.3f}",
        )
        lines.append(f"| {name} | {clients} | {' | '.join(values)} |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    add = parser.add_argument
    add("--model", required=True, help="a checkpoint's folder")
    add(
        "--server",
        nargs="+",
        default=[OURS],
        metavar="NAME=COMMAND",
        help="what starts it, with {model} and {port}; env OMP_NUM_THREADS=1 ... sets its threads",
    )
    add("--clients", type=int, nargs="+", default=[1, 16])
    add("--requests", type=int, default=64, help="in a turn")
    add("--documents", type=int, default=20, help="in a request")
    add("--words", type=int, default=12, help="of a document")
    add("--rounds", type=int, default=3)
    return parser


if __name__ == "__main__":
    run_cli(main)
