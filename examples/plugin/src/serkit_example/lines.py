"""An output format of timelines: one line of text per segment."""

from __future__ import annotations

from serkit.recognition.segments import TimelineContent
from serkit.recognition.timeline_formats import TextFormat


def _body(timeline: TimelineContent) -> str:
    return "".join(f"{timeline.file} {one.start:.2f} {one.end:.2f} {one.label}\n" for one in timeline.answered)


LINES = TextFormat(".lines", "text/plain", _body, joined=True)
