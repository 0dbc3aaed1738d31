"""`serkit stream`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from serkit.cli import timeline_options
from serkit.cli.options import CsvSafe
from serkit.cli.predict import Adapt, ChannelText, Model, load_adapted, parse_channel
from serkit.errors import UserError
from serkit.recognition.timeline_options import TimelineOptions


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
    from serkit import audio
    from serkit.cli.heard import PRINTERS, chunks, until_interrupted
    from serkit.recognition import Stream

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
    printer = PRINTERS[format](source, heard.labels, csv_safe)
    for event in until_interrupted(heard, chunks(source, rate, channels, device, fast)):
        printer.write(event)
    printer.finish(heard.statistics)
