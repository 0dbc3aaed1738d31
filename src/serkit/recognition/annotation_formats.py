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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from serkit.recognition.prediction import Doubt
from serkit.recognition.segments import Layout, Segment, TimelineContent


def subrip(timeline: TimelineContent) -> str:
    """SubRip subtitles (.srt): numbered, a comma before the milliseconds."""
    return "".join(
        f"{number}\n{clock(one.start, ',')} --> {clock(one.end, ',')}\n{_caption(one)}\n\n"
        for number, one in enumerate(timeline.answered, 1)
    )


def webvtt(timeline: TimelineContent) -> str:
    """WebVTT captions: https://www.w3.org/TR/webvtt1/."""
    cues = [
        # `<` begins a tag, `&` an entity, and `-->` a new cue.
        f"{clock(one.start)} --> {clock(one.end)}\n{html.escape(_caption(one), quote=False)}\n\n"
        for one in timeline.answered
    ]
    return "WEBVTT\n\n" + "".join(cues)


def audacity(timeline: TimelineContent) -> str:
    """A label track of Audacity: start, end and text between tabs."""
    return "".join(
        f"{one.start:.6f}\t{one.end:.6f}\t{_named(one)}{'' if one.sure else '?'}\n" for one in timeline.answered
    )


def rttm(timeline: TimelineContent, file: str | None = None) -> str:
    """Rich Transcription Time Marked, with the label as the speaker's name.

    Source: NIST, RT-09 evaluation plan, appendix A. Spaces separate fields, so names have none.

    Args:
        timeline: timeline of a recording.
        file: name of the recording, see `rttm_names`; None: the name of its file without the suffix.
    """
    file = file or _joined(Path(timeline.file).stem)
    return "".join(
        # From the rounded ends; a separately rounded duration could overlap the next segment.
        # Channels are counted from 1.
        f"SPEAKER {file} {(one.channel or 0) + 1} {one.start:.3f} {round(one.end, 3) - round(one.start, 3):.3f} "
        f"<NA> <NA> {_joined(one.label)} {one.confidence:.3f} <NA>\n"
        for one in timeline.answered
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


def audformat_head(layout: Layout) -> str:
    """Return the names of the columns of `audformat`."""
    more = [*(["channel"] if layout.each else []), *(["speaker"] if layout.speakers else [])]
    return ",".join(["file,start,end,emotion,confidence,doubt", *more]) + "\n"


def audformat(timeline: TimelineContent) -> str:
    """Return rows of a table with segmented index: https://audeering.github.io/audformat/data-tables.html."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    for one in timeline.answered:
        times = (f"0 days {clock(time)}" for time in (one.start, one.end))
        more: list[object] = [one.channel] if timeline.layout.each else []
        more += [one.speaker] if timeline.layout.speakers else []
        rows.writerow([timeline.file, *times, one.label, f"{one.confidence:.6f}", one.doubt, *more])
    return text.getvalue()


#: Tiers of a timeline in annotation tools.
_TIERS = ("emotion", "confidence")


def textgrid(timeline: TimelineContent) -> str:
    """A TextGrid of Praat (long form) with a tier of labels and one of confidences, or these of each channel."""
    end = f"{timeline.duration:.3f}"
    tiers = _tiers(timeline)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (tier, part) in enumerate(tiers.items(), 1):
        intervals = list(_filled(part))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{_quoted(tier)}"']
        lines += ["        xmin = 0", f"        xmax = {end}", f"        intervals: size = {len(intervals)}"]
        for place, (start, stop, segment) in enumerate(intervals, 1):
            text = "" if segment is None else _content(tier, segment)
            lines += [f"        intervals [{place}]:", f"            xmin = {start}", f"            xmax = {stop}"]
            lines += [f'            text = "{_quoted(text)}"']
    return "\n".join(lines) + "\n"


def elan(timeline: TimelineContent) -> str:
    """Return a document of ELAN (.eaf) with a tier of labels and one of confidences, or these of each channel.

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
    number = itertools.count(1)
    for tier, part in _tiers(timeline).items():
        speaker = {"PARTICIPANT": part.segments[0].speaker} if part.segments and part.segments[0].speaker else {}
        annotations = SubElement(
            document, "TIER", {"LINGUISTIC_TYPE_REF": "default-lt", "TIER_ID": _plain(tier), **speaker}
        )
        for one in part.segments:
            place = next(number)
            slots = {f"TIME_SLOT_REF{end}": f"ts{2 * place - 2 + end}" for end in (1, 2)}
            for slot, time in zip(slots.values(), (one.start, one.end), strict=True):
                SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(round(1000 * time))})
            annotation = SubElement(annotations, "ANNOTATION")
            aligned = SubElement(annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{place}", **slots})
            SubElement(aligned, "ANNOTATION_VALUE").text = _plain(_content(tier, one))
    SubElement(
        document,
        "LINGUISTIC_TYPE",
        {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"},
    )
    indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(document, encoding="unicode")}\n'


def _tiers(timeline: TimelineContent) -> Mapping[str, TimelineContent]:
    """Return the tiers of a timeline by name, with the segments of each, which do not overlap."""
    kinds = [*_TIERS, *(["text"] if "text" in timeline.columns else [])]
    parts: dict[str, TimelineContent] = {}
    if timeline.speakers is not None:
        for speaker in timeline.speakers:
            segments = tuple(one for one in timeline.answered if one.speaker == speaker)
            parts[f" {_one_line(speaker)}" if speaker else ""] = replace(timeline, segments=segments)
    elif timeline.channels is not None:
        parts = {f" {number}": timeline.of_channel(number) for number in timeline.channels}
    else:
        parts = {"": timeline}
    layers = {f"{name}{more}": layer for name, part in parts.items() for more, layer in _layers(part).items()}
    return {f"{kind}{name}": layer for name, layer in layers.items() for kind in kinds}


def _layers(timeline: TimelineContent) -> dict[str, TimelineContent]:
    """Return the segments in layers without overlap, by the end of their tiers' names: "", " (2)", ..."""
    layers: list[list[Segment]] = []
    for one in timeline.answered:
        # Annotation tools know milliseconds; a shorter segment has no length there.
        if round(one.end, 3) <= round(one.start, 3):
            continue
        free = next((layer for layer in layers if round(layer[-1].end, 3) <= round(one.start, 3)), None)
        if free is None:
            layers.append([one])
        else:
            free.append(one)
    found = {f" ({number})" if number > 1 else "": tuple(layer) for number, layer in enumerate(layers or [[]], 1)}
    return {name: replace(timeline, segments=segments) for name, segments in found.items()}


def _content(tier: str, segment: Segment) -> str:
    if tier.startswith("text"):
        return _one_line(segment.columns.get("text", ""))
    return _one_line(segment.label) if tier.startswith("emotion") else f"{segment.confidence:.3f}"


def _plain(text: str) -> str:
    """Return a text without characters that XML cannot hold."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "", text)


def _quoted(text: str) -> str:
    return text.replace('"', '""')


def _filled(timeline: TimelineContent) -> Iterator[tuple[str, str, Segment | None]]:
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


def _named(segment: Segment) -> str:
    """Return the label, after the speaker, or after the channel if each has segments."""
    label = _one_line(segment.label)
    if segment.speaker:
        return f"{_one_line(segment.speaker)}: {label}"
    return label if segment.channel is None else f"channel {segment.channel}: {label}"


def _caption(segment: Segment) -> str:
    """Return the answer, and on a second line the text of a given segment."""
    # Doubts about the confidence itself add nothing to it.
    doubt = f", {segment.doubt}" if segment.doubt not in ("", Doubt.confidence) else ""
    answer = f"{_named(segment)}{'' if segment.sure else '?'} {segment.confidence:.0%}{doubt}"
    said = _one_line(segment.columns.get("text", ""))
    return f"{answer}\n{said}" if said else answer


def clock(seconds: float, point: str = ".") -> str:
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
