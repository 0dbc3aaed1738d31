"""Metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

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
        self.reloads = Counter("serkit_reloads", "Reloads of the models.", ["result"], registry=registry)
        self._models = Gauge("serkit_models", "Models that answer.", ["model", "sha256"], registry=registry)

    def show_models(self, hashes: Mapping[str, str]) -> None:
        """Set the models that answer: the hash of each network by name."""
        self._models.clear()
        for name, sha256 in hashes.items():
            self._models.labels(name, sha256).set(1)

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


# The processes of a server share these; of others, a sum says more.
_SMALLEST = ("process_start_time_seconds", "process_max_fds")


class _Sum(Collector):
    """The metrics of several processes, summed over all samples of one name and labels."""

    def __init__(self, texts: Iterable[str], kinds: Sequence[str] = ()) -> None:
        self.families: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text in texts:
            for family in text_string_to_metric_families(text):
                if kinds and family.type not in kinds:
                    continue
                self.families.setdefault(family.name, family)
                values = sums.setdefault(family.name, {})
                for sample in family.samples:
                    key = sample.name, tuple(sample.labels.items())
                    smallest = family.name in _SMALLEST or sample.name.endswith("_created")
                    before = values.get(key)
                    if before is not None:
                        values[key] = min(before, sample.value) if smallest else before + sample.value
                    else:
                        values[key] = sample.value
        for name, family in self.families.items():
            family.samples = [Sample(one, dict(labels), value) for (one, labels), value in sums[name].items()]

    def collect(self) -> Iterable[Metric]:
        return self.families.values()


def summed(texts: Iterable[str], kinds: Sequence[str] = ()) -> str:
    """Sum metrics in Prometheus's text format.

    Args:
        texts: metrics of one process each.
        kinds: types of the metrics to keep; empty: all.
    """
    registry = CollectorRegistry()
    registry.register(_Sum(texts, kinds))
    return generate_latest(registry).decode()
