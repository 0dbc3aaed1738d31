"""Output formats of timelines: for people, programs, players and annotation tools."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serkit.recognition import annotation_formats as tools
from serkit.recognition.jobs import Failure
from serkit.recognition.segments import Layout, Segment, TimelineContent, Window
from serkit.recognition.stream import Event, Statistics
from serkit.registry import Registry
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
        head: returns the text before the first recording.
        failure: returns the text of a failed recording; empty if the format cannot hold it.
        joined: whether one file can hold several recordings.
    """

    suffix: str
    content_type: str
    body: Callable[[TimelineContent], str]
    head: Callable[[Layout], str] = lambda layout: ""
    failure: Callable[[Failure, Layout], str] = lambda failure, layout: ""
    joined: bool = False


def render(timeline: TimelineContent, format: str, csv_safe: bool = False) -> str:
    """Return a timeline as the text of a file in one of `FORMATS`; `csv_safe` makes CSV safe for spreadsheets."""
    chosen: TextFormat = FORMATS.find(format)
    text = chosen.head(timeline.layout) + chosen.body(timeline)
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
        **({} if result.speakers is None else {"speakers": list(result.speakers)}),
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
    place = {
        **_channel(segment),
        **({"speaker": segment.speaker} if segment.speaker else {}),
        "start": _time(segment.start),
        "end": _time(segment.end),
    }
    given = {"columns": dict(segment.columns)} if segment.columns else {}
    if segment.error:
        return {**place, **given, "error": segment.error}
    return {
        **place,
        **given,
        "label": segment.label,
        "sure": segment.sure,
        "doubt": segment.doubt,
        "confidence": round(segment.confidence, DIGITS),
        "probabilities": _rounded(segment.probabilities),
    }


def _time(seconds: float) -> float | None:
    """Return a time; None for a given time that is not a number, which JSON cannot hold."""
    return round(seconds, TIME_DIGITS) if math.isfinite(seconds) else None


def _channel(one: Window | Segment) -> dict[str, int]:
    return {} if one.channel is None else {"channel": one.channel}


def _rounded(probabilities: dict[str, float]) -> dict[str, float]:
    return {label: round(value, DIGITS) for label, value in probabilities.items()}


def _json(timeline: TimelineContent) -> str:
    return json.dumps(as_dict(timeline), indent=1, ensure_ascii=False) + "\n"


def _json_line(result: Result) -> str:
    return json.dumps(as_dict(result), ensure_ascii=False) + "\n"


def segment_columns(layout: Layout) -> str:
    """Return the names of the CSV columns; CSV has one row per segment."""
    own = _own_columns(layout)
    given = [f"given_{name}" if name in own else name for name in layout.columns]
    return _row([*own[:-1], *given, own[-1]])


def _own_columns(layout: Layout) -> list[str]:
    place = ["file", *(["channel"] if layout.each else []), *(["speaker"] if layout.speakers else []), "start", "end"]
    return [*place, "label", "sure", "doubt", "confidence", *(f"p_{label}" for label in layout.labels), "error"]


def segment_row(file: str, segment: Segment, layout: Layout) -> str:
    """Return a segment as a row of CSV."""
    channel = [] if not layout.each else [segment.channel]
    speaker = [segment.speaker] if layout.speakers else []
    place = [file, *channel, *speaker, _time(segment.start), _time(segment.end)]
    if segment.error:
        answer: list[Any] = [""] * (4 + len(layout.labels))
    else:
        numbers = [round(segment.confidence, DIGITS), *_rounded(segment.probabilities).values()]
        answer = [segment.label, str(segment.sure).lower(), segment.doubt, *numbers]
    given = [segment.columns.get(name, "") for name in layout.columns]
    return _row([*place, *answer, *given, segment.error])


def _row(values: Sequence[Any]) -> str:
    """Return values as a line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _json_failure(failure: Failure, layout: Layout) -> str:
    return _json_line(failure)


def _csv(timeline: TimelineContent) -> str:
    return "".join(segment_row(timeline.file, segment, timeline.layout) for segment in timeline.segments)


def _csv_failure(failure: Failure, layout: Layout) -> str:
    return _row([failure.file, *[""] * (len(_own_columns(layout)) - 2 + len(layout.columns)), failure.error])


FORMATS = Registry(
    "format",
    {
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
    },
    "serkit.formats",
)
