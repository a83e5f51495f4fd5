"""What Prometheus reads at /metrics."""

import time
from collections.abc import Callable

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.scorer import Group

# Other paths share one label: what clients make up does not fill the memory.
PATHS = ("/rerank", "/v1/rerank", "/v2/rerank", "/v1/models", "/health", "/metrics")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUESTS = (1, 2, 4, 8, 16, 32, 64)
TOKENS = (64, 256, 1024, 2048, 4096, 8192, 16384)


class Metrics:
    """Counts of requests, and of the groups in which they are scored."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("twolar_requests", "Answered requests.", ("path", "code"), registry=registry)
        self._seconds = Histogram(
            "twolar_request_seconds", "From a request's head to its answer's end.", ("path",),
            registry=registry, buckets=SECONDS,
        )  # fmt: skip
        self._waiting = Gauge(
            "twolar_waiting_requests", "Requests that wait for their scores.", registry=registry
        )
        self._connections = Gauge(
            "twolar_open_connections", "Connections that clients hold open.", registry=registry
        )
        self._documents = Counter("twolar_documents", "Documents scored.", registry=registry)
        self._tokens = Counter("twolar_tokens", "Tokens scored, as the model reads them.", registry=registry)
        self._group_seconds = Counter("twolar_scoring_seconds", "Seconds spent scoring.", registry=registry)
        self._group_requests = Histogram(
            "twolar_group_requests",
            "Requests that were scored together.",
            registry=registry,
            buckets=REQUESTS,
        )
        self._group_tokens = Histogram(
            "twolar_group_tokens", "Tokens that were scored together.", registry=registry, buckets=TOKENS
        )

    def observe_group(self, group: Group) -> None:
        """Count what was scored together."""
        self._documents.inc(group.num_pairs)
        self._tokens.inc(group.num_tokens)
        self._group_seconds.inc(group.seconds)
        self._group_requests.observe(group.num_requests)
        self._group_tokens.observe(group.num_tokens)

    def observe_request(self, path: str, code: int, seconds: float) -> None:
        """Count an answer."""
        label = path if path in PATHS else "other"
        self._requests.labels(label, code).inc()
        self._seconds.labels(label).observe(seconds)

    def watch(self, waiting: Callable[[], int], connections: Callable[[], int]) -> None:
        """Where to read, when asked, how many requests wait and connections are open."""
        self._waiting.set_function(waiting)
        self._connections.set_function(connections)

    def page(self) -> tuple[bytes, str]:
        """Prometheus' text, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class CountRequests:
    """ASGI middleware that counts answers and their time."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, code = time.perf_counter(), 500

        async def send_and_see(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            self._metrics.observe_request(scope["path"], code, time.perf_counter() - started)
