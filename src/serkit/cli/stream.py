"""`serkit stream`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from typing import Annotated, cast

import typer

from serkit import audio
from serkit.cli import timeline_options
from serkit.cli.options import CsvSafe
from serkit.cli.predict import Adapt, ChannelText, Model, load_adapted, parse_channel
from serkit.errors import UserError
from serkit.recognition import Segment, Statistics, Stream, TimelineOptions, Window, live
from serkit.recognition.segments import Layout
from serkit.recognition.stream import Chunk, Event
from serkit.recognition.timeline_formats import event_as_dict, segment_columns, segment_row, statistics_as_dict
from serkit.spreadsheet import harmless_rows
from serkit.terminal import note, show, visible
from serkit.writing import clock


class Format(StrEnum):
    """Format of the output."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"


def stream(
    source: Annotated[
        str,
        typer.Option(
            metavar="mic|-|FILE",
            help="The microphone (extra `mic`), raw 16-bit little-endian samples on standard input, or a recording, "
            "read in real time.",
        ),
    ] = "mic",
    model: Model = "default",
    rate: Annotated[
        int | None,
        typer.Option(
            min=1000,
            max=768_000,
            help="Sampling rate of microphone or standard input, in Hz. Default: 16000.",
            show_default=False,
        ),
    ] = None,
    channels: Annotated[
        int, typer.Option(min=1, max=1024, help="Number of channels of microphone or standard input.")
    ] = 1,
    channel: ChannelText = None,
    device: Annotated[
        str | None, typer.Option(help="Microphone: its number or part of its name.", show_default=False)
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Read a recording as fast as possible.")] = False,
    format: Annotated[Format, typer.Option(help="Output format; jsonl includes all windows.")] = Format.table,
    csv_safe: CsvSafe = False,
    window: timeline_options.Window = None,
    hop: timeline_options.Hop = None,
    detector: timeline_options.Detector = None,
    pause: timeline_options.Pause = None,
    lookahead: timeline_options.Lookahead = None,
    change: timeline_options.Change = None,
    adapt: Adapt = None,
    adapt_running: timeline_options.Running = False,
) -> None:
    """Recognize live sound.

    Each segment is written as soon as it is final; Ctrl-C stops the microphone. The segments equal those of
    `serkit predict --timeline` for the same sound.

    Example: serkit stream

    Example: arecord -q -t raw -f S16_LE -r 16000 | serkit stream --source - --format jsonl
    """
    options = TimelineOptions(
        **timeline_options.given(
            window=window, hop=hop, detector=detector, pause=pause, lookahead=lookahead, change=change
        ),
        adapt=adapt_running,
    )
    if channel == "each":
        raise UserError("a stream reads one channel; use serkit predict --timeline --channel each for a recording")
    is_file = source not in ("mic", "-")
    if is_file and (rate or channels > 1 or device):
        raise UserError("--rate, --channels and --device require a microphone or standard input, not a recording")
    if csv_safe and format is not Format.csv:
        raise UserError("--csv-safe requires --format csv")
    if fast and not is_file:
        raise UserError("--fast requires a recording")
    recognizer = load_adapted(model, adapt or (), parse_channel(channel))
    if is_file:
        info = audio.info(source)
        rate, channels = info.rate, info.channels
    rate = rate or 16000
    heard = Stream(recognizer, rate, options, parse_channel(channel), channels, source)
    printer = _PRINTERS[format](source, heard.labels, csv_safe)
    for event in _until_interrupted(heard, _chunks(source, rate, channels, device, fast)):
        printer.write(event)
    printer.finish(heard.statistics)


def _chunks(source: str, rate: int, channels: int, device: str | None, fast: bool) -> Iterator[Chunk]:
    if source == "mic":
        return live.from_microphone(rate, channels, int(device) if device and device.isdecimal() else device)
    if source == "-":
        return live.from_pipe(cast(BufferedReader, sys.stdin.buffer), rate, channels)
    return live.from_file(source, fast)


def _until_interrupted(heard: Stream, chunks: Iterator[Chunk]) -> Iterator[Event]:
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


_PRINTERS: dict[Format, type[_Lines] | type[_JsonLines] | type[_Csv]] = {
    Format.table: _Lines,
    Format.jsonl: _JsonLines,
    Format.csv: _Csv,
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
