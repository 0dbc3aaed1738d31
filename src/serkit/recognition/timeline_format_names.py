"""Names of the formats of timelines. Light, because the help of the command line shows them."""

from __future__ import annotations

from enum import StrEnum


class TimelineFormat(StrEnum):
    """Format of timelines: `table`, one of `timeline_formats.FORMATS`, or a folder with a database of audformat."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    textgrid = "textgrid"
    eaf = "eaf"
    audacity = "audacity"
    rttm = "rttm"
    audformat = "audformat"
    audformat_db = "audformat-db"


class PluggedFormat(str):
    """Name of a format that a plugin adds."""


#: Name of a format of timelines.
FormatName = TimelineFormat | PluggedFormat
