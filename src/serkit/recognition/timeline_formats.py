"""Output formats of timelines: for people, programs, players and annotation tools."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serkit.recognition import annotation_formats as tools
from serkit.recognition.jobs import Failure
from serkit.recognition.segments import Segment, Window
from serkit.recognition.stream import Event, Statistics
from serkit.recognition.timeline import Timeline
from serkit.spreadsheet import harmless_rows

Result = Timeline | Failure

#: Decimal places of a time in s, and of a probability.
TIME_DIGITS = 3
DIGITS = 6


@dataclass(frozen=True)
class TextFormat:
    """A timeline format.

    Args:
        suffix: suffix of a file.
        content_type: content type in HTTP.
        body: returns the text of a recording.
        head: returns the text before the first recording, from the labels.
        failure: returns the text of a failed recording; empty if the format cannot hold it.
        joined: whether one file can hold several recordings.
    """

    suffix: str
    content_type: str
    body: Callable[[Timeline], str]
    head: Callable[[Sequence[str]], str] = lambda labels: ""
    failure: Callable[[Failure, Sequence[str]], str] = lambda failure, labels: ""
    joined: bool = False


def render(timeline: Timeline, format: str, csv_safe: bool = False) -> str:
    """Return a timeline as the text of a file in one of `FORMATS`; `csv_safe` makes CSV safe for spreadsheets."""
    chosen = FORMATS[format]
    text = chosen.head(timeline.labels) + chosen.body(timeline)
    return harmless_rows(text) if csv_safe and chosen.suffix == ".csv" else text


def as_dict(result: Result) -> dict[str, Any]:
    """Return a result in its JSON form."""
    if isinstance(result, Failure):
        return {"file": result.file, "error": result.error}
    return {
        "file": result.file,
        "duration": round(result.duration, TIME_DIGITS),
        "labels": list(result.labels),
        "windows": [_window(window) for window in result.windows],
        "segments": [_segment(segment) for segment in result.segments],
        "warnings": list(result.warnings),
    }


def event_as_dict(event: Event) -> dict[str, Any]:
    """Return an event of a stream in its JSON form; `type` is `window` or `segment`."""
    if isinstance(event, Window):
        return {"type": "window", **_window(event), "latency_ms": round(1000 * event.latency, 1)}
    return {"type": "segment", **_segment(event), "final": event.final}


def statistics_as_dict(statistics: Statistics) -> dict[str, Any]:
    """Return the counters of a stream in their JSON form."""
    latency = {f"p{percent}": statistics.latency(percent) for percent in (50, 95)}
    return {
        "type": "statistics",
        "received_s": round(statistics.received, TIME_DIGITS),
        "dropped_s": round(statistics.dropped, TIME_DIGITS),
        "windows": statistics.windows,
        "latency_ms": {name: None if value is None else round(1000 * value, 1) for name, value in latency.items()},
    }


def _window(window: Window) -> dict[str, Any]:
    return {
        "start": round(window.start, TIME_DIGITS),
        "end": round(window.end, TIME_DIGITS),
        "speech": round(window.speech, TIME_DIGITS),
        "probabilities": window.probabilities and _rounded(window.probabilities),
    }


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "label": segment.label,
        "sure": segment.sure,
        "confidence": round(segment.confidence, DIGITS),
        "probabilities": _rounded(segment.probabilities),
    }


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(value, DIGITS) for label, value in probabilities.items()}


def _json(timeline: Timeline) -> str:
    return json.dumps(as_dict(timeline), indent=1, ensure_ascii=False) + "\n"


def _json_line(result: Result) -> str:
    return json.dumps(as_dict(result), ensure_ascii=False) + "\n"


def segment_columns(labels: Sequence[str]) -> str:
    """Return the names of the CSV columns; CSV has one row per segment."""
    return _row(["file", "start", "end", "label", "sure", "confidence", *(f"p_{label}" for label in labels), "error"])


def segment_row(file: str, segment: Segment) -> str:
    """Return a segment as a row of CSV."""
    entry = _segment(segment)
    numbers = [entry["confidence"], *entry["probabilities"].values()]
    return _row([file, entry["start"], entry["end"], entry["label"], str(segment.sure).lower(), *numbers, ""])


def _row(values: Sequence[Any]) -> str:
    """Return values as a line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _csv(timeline: Timeline) -> str:
    return "".join(segment_row(timeline.file, segment) for segment in timeline.segments)


def _csv_failure(failure: Failure, labels: Sequence[str]) -> str:
    return _row([failure.file, "", "", "", "", "", *("" for _ in labels), failure.error])


FORMATS = {
    "json": TextFormat(".json", "application/json", _json),
    "jsonl": TextFormat(
        ".jsonl", "application/x-ndjson", _json_line, failure=lambda failure, labels: _json_line(failure), joined=True
    ),
    "csv": TextFormat(".csv", "text/csv", _csv, segment_columns, _csv_failure, joined=True),
    "srt": TextFormat(".srt", "application/x-subrip", tools.subrip),
    "vtt": TextFormat(".vtt", "text/vtt", tools.webvtt),
    "textgrid": TextFormat(".TextGrid", "text/plain", tools.textgrid),
    "eaf": TextFormat(".eaf", "application/xml", tools.elan),
    "audacity": TextFormat(".txt", "text/plain", tools.audacity),
    "rttm": TextFormat(".rttm", "text/plain", tools.rttm, joined=True),
    "audformat": TextFormat(".csv", "text/csv", tools.audformat, tools.audformat_head, joined=True),
}
