"""Traces of requests for OpenTelemetry: off, unless the extra `telemetry` is there and the operator names a receiver.

A trace has a span for the request, and one for decoding, for features and for the network, which a process that
recognizes has measured. Spans hold the route, status, model and lengths; no sound, no names of files.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from serkit.recognition.timing import Times

_LOG = logging.getLogger("serkit.app")

#: With one of these the operator asks for traces. Others, such as OTEL_SERVICE_NAME, may be there for other programs.
VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")


class Tracing:
    """Spans of requests; without a provider it does nothing.

    Args:
        provider: a `TracerProvider` of OpenTelemetry's SDK; None: no traces.
    """

    def __init__(self, provider: Any = None) -> None:
        self._provider = provider
        self._tracer = provider and provider.get_tracer("serkit")

    @classmethod
    def of_environment(cls) -> Tracing:
        """Return the tracing that the variables `OTEL_*` ask for."""
        asked = [name for name in VARIABLES if os.environ.get(name)]
        exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
        if not asked or exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
            return cls()
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
        except ImportError:
            _LOG.warning("%s is set, but traces require the extra: pip install 'serkit[telemetry]'", asked[0])
            return cls()
        if exporter not in ("otlp", "console"):
            _LOG.warning("OTEL_TRACES_EXPORTER must be otlp, console or none, got %r; there are no traces", exporter)
            return cls()
        # `create` reads the variables, but would prefer what it is given.
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "serkit"}))
        console = exporter == "console"
        sink = ConsoleSpanExporter(out=sys.stderr, formatter=_on_one_line) if console else OTLPSpanExporter()
        provider.add_span_processor(BatchSpanProcessor(sink))
        return cls(provider)

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str], began: int | None = None) -> Iterator[Span]:
        """Trace the block as the work of a server.

        Args:
            name: name of the span; `Span.end` may replace it.
            headers: head of the request, whose `traceparent` names the span of the client.
            began: start in ns since 1970; None: now.
        """
        if self._tracer is None:
            yield Span()
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract(headers)
        span = self._tracer.start_span(name, context, SpanKind.SERVER, start_time=began)
        try:
            yield Span(self._tracer, span)
        finally:
            span.end()

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


class Span:
    """A span that is open; without a tracer it does nothing."""

    def __init__(self, tracer: Any = None, span: Any = None) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def headers(self) -> dict[str, str]:
        """The head of a request, as if this span were its client."""
        if self._tracer is None:
            return {}
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, set_span_in_context(self._span))
        return carrier

    def end(self, name: str, attributes: Mapping[str, Any], times: Times, failed: bool) -> None:
        """Name the span, and add its attributes and parts.

        Args:
            name: its name.
            attributes: what is known of it; None: unknown.
            times: the time of decoding, features and network.
            failed: whether the server has failed.
        """
        if self._tracer is None:
            return
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        self._span.update_name(name)
        for key, value in attributes.items():
            if value is not None:
                self._span.set_attribute(key, value)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        context = set_span_in_context(self._span)
        for part, spent in times.items():
            child = self._tracer.start_span(part, context, start_time=spent.began)
            child.set_attribute("serkit.seconds", spent.seconds)
            child.set_attribute("serkit.pieces", spent.pieces)
            child.end(spent.ended)


def _on_one_line(span: Any) -> str:
    return str(span.to_json(indent=None)) + "\n"
