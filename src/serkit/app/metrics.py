"""Metrics for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serkit.app.uploads import Bodies
from serkit.app.workers import Workers

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Metrics of one server, in a separate registry."""

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
        self.audio = Counter("serkit_audio_seconds", "Sound recognized.", ["model"], registry=registry)
        self.streams = Gauge("serkit_streams", "Open WebSockets.", registry=registry)
        self.lost = Counter(
            "serkit_lost_processes",
            "Processes that ended or were stopped while they processed a recording, and were replaced.",
            ["reason"],
            registry=registry,
        )

    def watch(self, workers: Workers, bodies: Bodies) -> None:
        """Add gauges of the current work."""
        for name, text, value in (
            ("serkit_running", "Requests in progress.", lambda: workers.running),
            ("serkit_waiting", "Requests in the queue.", lambda: workers.waiting),
            ("serkit_body_bytes", "Memory of request bodies.", lambda: bodies.taken),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)

    def render(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class CountRequests:
    """ASGI middleware that counts and times requests by endpoint and status."""

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
            # Not the requested path, because invented paths must not create new series.
            endpoint = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(endpoint, status).inc()
            self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - began)
