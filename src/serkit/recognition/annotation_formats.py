"""Timelines in the formats of players and annotation tools; each function returns the text of a file.

Most of these formats cannot hold line breaks or tabs in a field, so labels are put on one line.
"""

from __future__ import annotations

import csv
import html
import io
import itertools
import mimetypes
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from serkit.recognition.segments import Segment
from serkit.recognition.timeline import Timeline


def subrip(timeline: Timeline) -> str:
    """SubRip subtitles (.srt): numbered, a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{_caption(one)}\n\n"
        for number, one in enumerate(timeline.segments, 1)
    )


def webvtt(timeline: Timeline) -> str:
    """WebVTT captions: https://www.w3.org/TR/webvtt1/."""
    cues = [
        # `<` begins a tag, `&` an entity, and `-->` a new cue.
        f"{_clock(one.start)} --> {_clock(one.end)}\n{html.escape(_caption(one), quote=False)}\n\n"
        for one in timeline.segments
    ]
    return "WEBVTT\n\n" + "".join(cues)


def audacity(timeline: Timeline) -> str:
    """A label track of Audacity: start, end and text between tabs."""
    return "".join(f"{one.start:.6f}\t{one.end:.6f}\t{_one_line(one.label)}\n" for one in timeline.segments)


def rttm(timeline: Timeline, file: str | None = None) -> str:
    """Rich Transcription Time Marked, with the label as the speaker's name.

    Source: NIST, RT-09 evaluation plan, appendix A. Spaces separate fields, so names have none.

    Args:
        timeline: timeline of a recording.
        file: name of the recording, see `rttm_names`; None: the name of its file without the suffix.
    """
    file = file or _joined(Path(timeline.file).stem)
    return "".join(
        # From the rounded ends; a separately rounded duration could overlap the next segment.
        f"SPEAKER {file} 1 {one.start:.3f} {round(one.end, 3) - round(one.start, 3):.3f} <NA> <NA> "
        f"{_joined(one.label)} {one.confidence:.3f} <NA>\n"
        for one in timeline.segments
    )


def rttm_names(files: Sequence[str]) -> dict[str, str]:
    """Return unique names of recordings in one RTTM file.

    A name is the file name without the suffix. If several recordings share it, it is the path, without the suffix if
    that is unique, and with percent-encoded blanks if necessary.
    """
    paths = {file: Path(file) for file in files}
    forms: Sequence[Callable[[Path], str]] = (
        lambda path: _joined(path.stem),
        lambda path: _joined(path.with_suffix("").as_posix()),
        lambda path: _joined(path.as_posix()),
        lambda path: quote(path.as_posix(), errors="surrogateescape"),
    )
    names: dict[str, str] = {}
    for form in forms:
        unnamed = {file: form(path) for file, path in paths.items() if file not in names}
        counts = Counter(unnamed.values())
        taken = set(names.values())
        names |= {file: name for file, name in unnamed.items() if counts[name] == 1 and name not in taken}
    return names


def audformat_head(labels: Sequence[str]) -> str:
    """Return the names of the columns of `audformat`."""
    return "file,start,end,emotion,confidence\n"


def audformat(timeline: Timeline) -> str:
    """Return rows of a table with segmented index: https://audeering.github.io/audformat/data-tables.html."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    for one in timeline.segments:
        times = (f"0 days {_clock(time)}" for time in (one.start, one.end))
        rows.writerow([timeline.file, *times, one.label, f"{one.confidence:.6f}"])
    return text.getvalue()


def textgrid(timeline: Timeline) -> str:
    """A TextGrid of Praat (long form) with a tier of labels and one of confidences."""
    end = f"{timeline.duration:.3f}"
    intervals = list(_filled(timeline))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", "size = 2", "item []:"]
    for number, tier in enumerate(("emotion", "confidence"), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{tier}"']
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, segment) in enumerate(intervals, 1):
            text = ""
            if segment is not None:
                text = _one_line(segment.label) if tier == "emotion" else f"{segment.confidence:.3f}"
            lines += [f"        intervals [{place}]:", f"            xmin = {start}", f"            xmax = {stop}"]
            lines += ['            text = "' + text.replace('"', '""') + '"']
    return "\n".join(lines) + "\n"


def elan(timeline: Timeline) -> str:
    """Return a document of ELAN (.eaf) with a tier of labels and one of confidences. It names the recording.

    Source: The Language Archive, EAF annotation format 3.0.
    """
    from xml.etree.ElementTree import Element, SubElement, indent, tostring

    document = Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "serkit",
            # The format requires a date; a fixed one keeps the output reproducible.
            "DATE": "1970-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = SubElement(document, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    name = quote(Path(timeline.file).name, errors="surrogateescape")
    kind = mimetypes.guess_type(name)[0] or "audio/x-wav"
    SubElement(
        header, "MEDIA_DESCRIPTOR", {"MEDIA_URL": f"./{name}", "RELATIVE_MEDIA_URL": f"./{name}", "MIME_TYPE": kind}
    )
    order = SubElement(document, "TIME_ORDER")
    for number, one in enumerate(timeline.segments):
        for place, time in enumerate((one.start, one.end), 2 * number + 1):
            SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": f"ts{place}", "TIME_VALUE": str(round(1000 * time))})
    identity = itertools.count(1)
    for tier in ("emotion", "confidence"):
        annotations = SubElement(document, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": tier})
        for number, one in enumerate(timeline.segments):
            slots = {f"TIME_SLOT_REF{end}": f"ts{2 * number + end}" for end in (1, 2)}
            annotation = SubElement(annotations, "ANNOTATION")
            aligned = SubElement(annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{next(identity)}", **slots})
            text = _one_line(one.label) if tier == "emotion" else f"{one.confidence:.3f}"
            SubElement(aligned, "ANNOTATION_VALUE").text = text
    SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"},
    )
    indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(document, encoding="unicode")}\n'


def _filled(timeline: Timeline) -> Iterator[tuple[str, str, Segment | None]]:
    """Yield start, end and segment of contiguous intervals; the segment is None without speech."""
    at, end = "0.000", f"{timeline.duration:.3f}"
    for segment in timeline.segments:
        start, stop = f"{segment.start:.3f}", f"{segment.end:.3f}"
        if start != at:
            yield at, start, None
        yield start, stop, segment
        at = stop
    if at != end:
        yield at, end, None


def _caption(segment: Segment) -> str:
    return f"{_one_line(segment.label)}{'' if segment.sure else '?'} {segment.confidence:.0%}"


def _clock(seconds: float, point: str = ".") -> str:
    """Return `HH:MM:SS.mmm`."""
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{point}{milliseconds:03d}"


def _one_line(text: str) -> str:
    """Replace each run of blanks, line breaks, tabs and other control characters with one blank."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip()


def _joined(name: str) -> str:
    """Return a name as an RTTM field, which has no blanks and is not empty."""
    return _one_line(name).replace(" ", "_") or "<NA>"
