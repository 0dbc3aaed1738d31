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
from serkit.recognition.segments import Segment, TimelineContent, Window
from serkit.recognition.stream import Event, Statistics
from serkit.spreadsheet import harmless_rows

Result = TimelineContent | Failure

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
        head: returns the text before the first recording, from the labels and whether each channel has a timeline.
        failure: returns the text of a failed recording, from the same; empty if the format cannot hold it.
        joined: whether one file can hold several recordings.
    """

    suffix: str
    content_type: str
    body: Callable[[TimelineContent], str]
    head: Callable[[Sequence[str], bool], str] = lambda labels, each: ""
    failure: Callable[[Failure, Sequence[str], bool], str] = lambda failure, labels, each: ""
    joined: bool = False


def render(timeline: TimelineContent, format: str, csv_safe: bool = False) -> str:
    """Return a timeline as the text of a file in one of `FORMATS`; `csv_safe` makes CSV safe for spreadsheets."""
    chosen = FORMATS[format]
    text = chosen.head(timeline.labels, timeline.channels is not None) + chosen.body(timeline)
    return harmless_rows(text) if csv_safe and chosen.suffix == ".csv" else text


def as_dict(result: Result) -> dict[str, object]:
    """Return a result in its JSON form."""
    if isinstance(result, Failure):
        return {"file": result.file, "error": result.error}
    return {
        "file": result.file,
        "duration": round(result.duration, TIME_DIGITS),
        "labels": list(result.labels),
        **({} if result.channels is None else {"channels": list(result.channels)}),
        "answers": [answer.to_dict() for answer in result.answers],
        "windows": [_window(window) for window in result.windows],
        "segments": [_segment(segment) for segment in result.segments],
        "warnings": list(result.warnings),
    }


def event_as_dict(event: Event) -> dict[str, object]:
    """Return an event of a stream in its JSON form; `type` is `window` or `segment`."""
    if isinstance(event, Window):
        return {"type": "window", **_window(event), "latency_ms": round(1000 * event.latency, 1)}
    return {"type": "segment", **_segment(event), "final": event.final}


def statistics_as_dict(statistics: Statistics) -> dict[str, object]:
    """Return the counters of a stream in their JSON form."""
    latency = {f"p{percent}": statistics.latency(percent) for percent in (50, 95)}
    return {
        "type": "statistics",
        "received_s": round(statistics.received, TIME_DIGITS),
        "dropped_s": round(statistics.dropped, TIME_DIGITS),
        "windows": statistics.windows,
        "latency_ms": {name: None if value is None else round(1000 * value, 1) for name, value in latency.items()},
    }


def _window(window: Window) -> dict[str, object]:
    return {
        **_channel(window),
        "start": round(window.start, TIME_DIGITS),
        "end": round(window.end, TIME_DIGITS),
        "speech": round(window.speech, TIME_DIGITS),
        "probabilities": window.probabilities and _rounded(window.probabilities),
    }


def _segment(segment: Segment) -> dict[str, object]:
    return {
        **_channel(segment),
        "start": round(segment.start, TIME_DIGITS),
        "end": round(segment.end, TIME_DIGITS),
        "label": segment.label,
        "sure": segment.sure,
        "doubt": segment.doubt,
        "confidence": round(segment.confidence, DIGITS),
        "probabilities": _rounded(segment.probabilities),
    }


def _channel(one: Window | Segment) -> dict[str, int]:
    return {} if one.channel is None else {"channel": one.channel}


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(value, DIGITS) for label, value in probabilities.items()}


def _json(timeline: TimelineContent) -> str:
    return json.dumps(as_dict(timeline), indent=1, ensure_ascii=False) + "\n"


def _json_line(result: Result) -> str:
    return json.dumps(as_dict(result), ensure_ascii=False) + "\n"


def segment_columns(labels: Sequence[str], each: bool = False) -> str:
    """Return the names of the CSV columns, with the channel if `each` has segments; CSV has one row per segment."""
    place = ["file", *(["channel"] if each else []), "start", "end"]
    return _row([*place, "label", "sure", "doubt", "confidence", *(f"p_{label}" for label in labels), "error"])


def segment_row(file: str, segment: Segment) -> str:
    """Return a segment as a row of CSV."""
    entry = _segment(segment)
    numbers = [entry["confidence"], *_rounded(segment.probabilities).values()]
    place = [file, *_channel(segment).values(), entry["start"], entry["end"]]
    return _row([*place, entry["label"], str(segment.sure).lower(), segment.doubt, *numbers, ""])


def _row(values: Sequence[Any]) -> str:
    """Return values as a line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json_failure(failure: Failure, labels: Sequence[str], each: bool = False) -> str:
    return _json_line(failure)


def _csv(timeline: TimelineContent) -> str:
    return "".join(segment_row(timeline.file, segment) for segment in timeline.segments)


def _csv_failure(failure: Failure, labels: Sequence[str], each: bool = False) -> str:
    return _row([failure.file, *([""] if each else []), *[""] * (6 + len(labels)), failure.error])


FORMATS = {
    "json": TextFormat(".json", "application/json", _json),
    "jsonl": TextFormat(".jsonl", "application/x-ndjson", _json_line, failure=_json_failure, joined=True),
    "csv": TextFormat(".csv", "text/csv", _csv, segment_columns, _csv_failure, joined=True),
    "srt": TextFormat(".srt", "application/x-subrip", tools.subrip),
    "vtt": TextFormat(".vtt", "text/vtt", tools.webvtt),
    "textgrid": TextFormat(".TextGrid", "text/plain", tools.textgrid),
    "eaf": TextFormat(".eaf", "application/xml", tools.elan),
    "audacity": TextFormat(".txt", "text/plain", tools.audacity),
    "rttm": TextFormat(".rttm", "text/plain", tools.rttm, joined=True),
    "audformat": TextFormat(".csv", "text/csv", tools.audformat, tools.audformat_head, joined=True),
}
