"""What Prometheus is told of a server."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serkit.app.uploads import Bodies
from serkit.app.workers import Workers

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("serkit_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
        self.seconds = Histogram(
            "serkit_request_seconds",
            "From the head of a request to the end of its answer.",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.audio = Counter("serkit_audio_seconds", "Sound recognised.", ["model"], registry=registry)
        self.streams = Gauge("serkit_streams", "WebSockets that are open.", registry=registry)
        self.lost = Counter(
            "serkit_lost_processes",
            "Processes that ended, or were given up, over a recording, and were replaced.",
            ["reason"],
            registry=registry,
        )

    def watch(self, workers: Workers, bodies: Bodies) -> None:
        """Tell how much there is to do."""
        for name, text, value in (
            ("serkit_running", "Requests at work.", lambda: workers.running),
            ("serkit_waiting", "Requests in the queue.", lambda: workers.waiting),
            ("serkit_body_bytes", "What bodies take of memory.", lambda: bodies.taken),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """Write all in Prometheus' text format."""
        return generate_latest(self.registry)


class CountRequests:
    """ASGI middleware: counts and times every request by its endpoint and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            # Not the path as it was sent: made-up paths must not make up new series.
            endpoint = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(endpoint, status).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)
