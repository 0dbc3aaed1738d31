"""Traces: a span per request with its parts, and none unless the operator asks for them."""

import sys

import pytest
from holding import wait_until

from serkit.app.telemetry import VARIABLES, Tracing

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch):
    """The function that returns all finished spans, by name."""
    pytest.importorskip("opentelemetry.sdk", reason="needs the telemetry extra")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(Tracing, "of_environment", lambda: Tracing(provider))
    return lambda: {span.name: span for span in exporter.get_finished_spans()}


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_a_request_and_its_parts(spans, serve, sound):
    serve().post("/v1/predict", files={"file": ("secret.wav", sound())}, headers={"traceparent": CLIENT})
    found = spans()
    assert set(found) == {"POST /v1/predict", "decode", "features", "network"}
    request = found["POST /v1/predict"]
    assert format(request.context.trace_id, "032x") == CLIENT.split("-")[1]
    assert request.attributes["http.route"] == "/v1/predict" and request.attributes["serkit.model"] == "toy"
    for name in ("decode", "features", "network"):
        part = found[name]
        assert part.parent.span_id == request.context.span_id
        assert request.start_time <= part.start_time <= part.end_time <= request.end_time
        assert part.attributes["serkit.pieces"] > 0
    assert "secret" not in str([span.to_json() for span in found.values()])


def test_a_job_continues_the_trace_of_its_request(spans, serve, sound):
    answer = serve().post("/v1/jobs", content=sound())
    wait_until(lambda: "job" in spans(), 60)
    found = spans()
    assert found["job"].parent.span_id == found["POST /v1/jobs"].context.span_id
    assert found["job"].attributes["serkit.status"] == "done"
    assert answer.json()["id"] not in str([span.to_json() for span in found.values()])


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "of another program"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
    ],
)
def test_nobody_is_traced_unasked(variables, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Tracing.of_environment()._provider is None


def test_without_the_extra_there_is_advice(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert Tracing.of_environment()._provider is None
    assert caplog.messages == [
        "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces require the extra: pip install 'serkit[telemetry]'"
    ]
