"""Sound and lines of `serkit stream`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import BufferedReader
from typing import cast

from serkit.recognition import Segment, Statistics, Stream, Window, live
from serkit.recognition.segments import Layout
from serkit.recognition.stream import Chunk, Event
from serkit.recognition.timeline_formats import event_as_dict, segment_columns, segment_row, statistics_as_dict
from serkit.spreadsheet import harmless_rows
from serkit.terminal import note, show, visible
from serkit.writing import clock


def chunks(source: str, rate: int, channels: int, device: str | None, fast: bool) -> Iterator[Chunk]:
    """Yield the sound of a source: `mic`, `-` (standard input) or a recording."""
    if source == "mic":
        return live.from_microphone(rate, channels, int(device) if device and device.isdecimal() else device)
    if source == "-":
        return live.from_pipe(cast(BufferedReader, sys.stdin.buffer), rate, channels)
    return live.from_file(source, fast)


def until_interrupted(heard: Stream, chunks: Iterator[Chunk]) -> Iterator[Event]:
    """Yield all events; Ctrl-C ends the sound, but not the command."""
    try:
        yield from heard.events(chunks)
    except KeyboardInterrupt:
        yield from heard.finish()


class _Lines:
    """Table for people: a line per segment and, on a terminal, the current window."""

    def __init__(self, source: str, labels: list[str], csv_safe: bool) -> None:
        self._live = sys.stderr.isatty()

    def write(self, event: Event) -> None:
        if isinstance(event, Segment) and event.final:
            self._show("")
            label = event.label if event.sure else f"{event.label}?"
            doubt = f"  {event.doubt}" if event.doubt else ""
            show(f"{clock(event.start):>9}  {clock(event.end):>9}  {label:<12} {event.confidence:.2f}{doubt}")
        elif isinstance(event, Window) and event.probabilities is None:
            self._show(f"{clock(event.end):>9}  ...")
        elif isinstance(event, Window):
            assert event.probabilities is not None
            label = max(event.probabilities, key=event.probabilities.__getitem__)
            share = event.probabilities[label]
            self._show(f"{clock(event.end):>9}  {label} {share:.2f} {'▇' * round(20 * share)}")

    def finish(self, statistics: Statistics) -> None:
        self._show("")
        _report(statistics)

    def _show(self, text: str) -> None:
        """Replace the last text."""
        if self._live:
            print(f"\r\x1b[K{visible(text)}", end="", file=sys.stderr, flush=True)


class _JsonLines:
    """JSON lines: all events, then the counters."""

    def __init__(self, source: str, labels: list[str], csv_safe: bool) -> None:
        pass

    def write(self, event: Event) -> None:
        show(json.dumps(event_as_dict(event), ensure_ascii=False))

    def finish(self, statistics: Statistics) -> None:
        show(json.dumps(statistics_as_dict(statistics)))


class _Csv:
    """CSV: a row per final segment."""

    def __init__(self, source: str, labels: list[str], csv_safe: bool) -> None:
        self._source = source
        self._csv_safe = csv_safe
        self._layout = Layout(tuple(labels))
        self._show(segment_columns(self._layout))

    def write(self, event: Event) -> None:
        if isinstance(event, Segment) and event.final:
            self._show(segment_row(self._source, event, self._layout))

    def finish(self, statistics: Statistics) -> None:
        _report(statistics)

    def _show(self, row: str) -> None:
        show(harmless_rows(row) if self._csv_safe else row, end="")


#: By the format of the output.
PRINTERS: dict[str, type[_Lines] | type[_JsonLines] | type[_Csv]] = {
    "table": _Lines,
    "jsonl": _JsonLines,
    "csv": _Csv,
}


def _report(statistics: Statistics) -> None:
    """Print the counters as one line on stderr."""
    latency = ", ".join(
        f"p{percent} {1000 * value:.0f} ms"
        for percent in (50, 95)
        if (value := statistics.latency(percent)) is not None
    )
    heard = f"{statistics.received:.1f} s received, {statistics.dropped:.1f} s lost, {statistics.windows} windows"
    note(f"serkit: {heard}{f', latency {latency}' if latency else ''}")
