"""Given segments: stretches of recordings from the files of annotation tools, diarizers and transcribers.

RTTM, SubRip, WebVTT, TextGrid, ELAN, Audacity labels, and the JSON of whisper, whisperX, pyannote and serkit.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from serkit.errors import UserError
from serkit.text import clean


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording.

    Args:
        start: start in s.
        end: end in s; None: the end of the recording.
        speaker: who speaks; empty: not known.
        text: what is said or written there.
        recording: name of the recording in the file; empty: the file does not name it.
        channel: channel of the recording, counted from 0; None: not known.
        tier: tier of the file; empty: it has no tiers.
    """

    start: float
    end: float | None
    speaker: str = ""
    text: str = ""
    recording: str = ""
    channel: int | None = None
    tier: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and self.start >= 0):
            raise ValueError(f"start must be a time from 0 s, got {self.start:g}")
        if self.end is not None and not (math.isfinite(self.end) and self.end > self.start):
            raise ValueError(f"end must be after the start at {self.start:g} s, got {self.end:g}")


@dataclass(frozen=True)
class Annotation:
    """Contents of a file of segments.

    Args:
        stretches: in the order of the file.
        problems: the entries that are no stretch: where, and why.
    """

    stretches: tuple[Stretch, ...]
    problems: tuple[str, ...] = ()


#: A stretch, or the place and the problem of an entry that is none.
Entry = Stretch | str


def read(path: Path, tiers: Sequence[str] = ()) -> Annotation:
    """Read a file of segments; its ending sets the format (`FORMATS`).

    Args:
        path: the file.
        tiers: tiers to read, for formats with tiers; empty: the only one.

    Raises:
        UserError: the file cannot be read, is in another format, or has no stretch.
    """
    parse = FORMATS.get(path.suffix.lower())
    if parse is None:
        raise UserError(f"{path}: format '{path.suffix}' is not known; known are {', '.join(FORMATS)}")
    try:
        entries = list(parse(_text(path)))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    stretches = _of_tiers(path, [entry for entry in entries if isinstance(entry, Stretch)], tiers)
    problems = tuple(f"{path}: {entry}" for entry in entries if isinstance(entry, str))
    if not stretches:
        raise UserError(problems[0] if problems else f"{path}: contains no segments")
    return Annotation(tuple(stretches), problems)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    # Praat writes accents in UTF-16.
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _of_tiers(path: Path, stretches: Sequence[Stretch], tiers: Sequence[str]) -> list[Stretch]:
    """Keep the stretches of some tiers; each tier is a speaker, unless the entry names one.

    Raises:
        UserError: a tier does not exist, or none is chosen of several.
    """
    known = list(dict.fromkeys(stretch.tier for stretch in stretches))
    names = ", ".join(f"'{name}'" for name in known)
    for tier in tiers:
        if tier not in known:
            raise UserError(f"{path}: has no segments in a tier '{tier}'; its tiers are {names}")
    if not tiers and len(known) > 1:
        raise UserError(f"{path}: has {len(known)} tiers ({names}); choose with --tier NAME (repeatable)")
    return [
        replace(stretch, speaker=stretch.speaker or (stretch.tier if len(tiers) > 1 else ""))
        for stretch in stretches
        if not tiers or stretch.tier in tiers
    ]


def rttm(text: str) -> Iterator[Entry]:
    """Rich Transcription Time Marked: one line of fields for each segment; lines of other types hold none.

    Source: NIST, RT-09 evaluation plan, appendix A.
    """
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        place = f"line {number}"
        if len(fields) < 8:
            yield f"{place}: SPEAKER requires at least 8 fields, got {len(fields)}"
            continue
        _, recording, channel, start, duration, _, _, speaker, *_ = fields
        yield _entry(
            place,
            start,
            duration,
            lasting=True,
            speaker="" if speaker == "<NA>" else speaker,
            recording=recording,
            channel=int(channel) - 1 if channel.isdecimal() and int(channel) else None,
        )


_CUE = re.compile(r"^[ \t]*((?:\d+:)?\d+:\d+[.,]\d+)[ \t]*-->[ \t]*((?:\d+:)?\d+:\d+[.,]\d+)[^\n]*$", re.MULTILINE)
_VOICE = re.compile(r"<v(?:\.[^ >]*)?[ \t]+([^>]*)>")


def subtitles(text: str) -> Iterator[Entry]:
    """SubRip (.srt) and WebVTT (.vtt): a line `start --> end`, and text up to an empty line.

    The speaker is the voice of a cue, `<v Ann>`. Tags are left out of the text.
    """
    for cue in _CUE.finditer(text):
        body = re.split(r"\n[ \t]*\n", text[cue.end() :].lstrip("\r\n").replace("\r\n", "\n"), maxsplit=1)[0]
        body = "" if _CUE.match(body) else body
        voice = _VOICE.search(body)
        yield _entry(
            f"line {text.count(chr(10), 0, cue.start()) + 1}",
            cue[1],
            cue[2],
            speaker=clean(html.unescape(voice[1])) if voice else "",
            text=clean(html.unescape(re.sub(r"<[^>]*>", "", body))),
        )


def audacity(text: str) -> Iterator[Entry]:
    """A label track of Audacity: start, end and text between tabs. Labels of one point in time are no segments."""
    for number, line in enumerate(text.splitlines(), 1):
        # A line with a backslash holds the frequencies of the label before it.
        if not line.strip() or line.startswith("\\"):
            continue
        fields = line.split("\t", 2)
        if len(fields) < 2:
            raise ValueError(f"line {number}: must hold start, end and text between tabs")
        yield _entry(f"line {number}", fields[0], fields[1], text=clean(fields[-1]))


# The long and the short form hold the same numbers and texts in the same order; words outside quotes are names.
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<![\w\[.])(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?![\w\]])')


def textgrid(text: str) -> Iterator[Entry]:
    """A TextGrid of Praat, long or short. Intervals without text and tiers of points are no segments."""
    tokens = [token[1] if token[1] is not None else float(token[2]) for token in _TOKEN.finditer(text)]
    if tokens[:2] != ["ooTextFile", "TextGrid"]:
        raise ValueError("is not a TextGrid in text form; in Praat, save it as a text file")
    values = iter(tokens[4:])  # after two headings and the start and the end of the recording
    try:
        size = int(next(values))
        for _ in range(size):
            kind, tier, _, _, count = (next(values) for _ in range(5))
            for number in range(1, int(count) + 1):
                *times, last = (next(values) for _ in range(3 if kind == "IntervalTier" else 2))
                if kind == "IntervalTier" and (label := clean(str(last).replace('""', '"'))):
                    start, end = times
                    yield _entry(f"tier '{tier}', interval {number}", start, end, text=label, tier=tier)
    except (StopIteration, RuntimeError, TypeError, AttributeError):
        raise ValueError("the TextGrid ends early, or its numbers and texts are not in Praat's order") from None


def elan(text: str) -> Iterator[Entry]:
    """An ELAN document (.eaf): the annotations that are aligned with time, in ms. The speaker is the participant.

    Source: The Language Archive, EAF annotation format 3.0.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"is not XML ({error})") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise ValueError(f"must be an ELAN document, got <{root.tag}>")
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE", "") for slot in root.iterfind("TIME_ORDER/TIME_SLOT")}
    for tier in root.iterfind("TIER"):
        for annotation in tier.iterfind("ANNOTATION/ALIGNABLE_ANNOTATION"):
            start, end = (slots.get(annotation.get(f"TIME_SLOT_REF{number}"), "") for number in (1, 2))
            name = tier.get("TIER_ID", "")
            yield _entry(
                f"tier '{name}', annotation {annotation.get('ANNOTATION_ID')}",
                start,
                end,
                unit=0.001,
                speaker=clean(tier.get("PARTICIPANT", "")),
                text=clean(annotation.findtext("ANNOTATION_VALUE") or ""),
                tier=name,
            )


# Where programs keep their segments: whisper, whisperX and serkit; pyannote's service; transformers' pipelines.
_LISTS = (("segments",), ("diarization",), ("output", "diarization"), ("chunks",))


def structured(text: str) -> Iterator[Entry]:
    """JSON of whisper, whisperX, pyannote, transformers' pipelines, and of serkit's timelines."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from None
    entries = _list(document)
    if entries is None:
        places = ", ".join("'" + ".".join(keys) + "'" for keys in _LISTS)
        raise ValueError(f"must be a list of segments, or hold one in {places}")
    recording = document.get("file", "") if isinstance(document, Mapping) else ""
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            yield f"segment {number}: must be an object with start and end, got {entry!r:.40}"
            continue
        start, end = entry["timestamp"] if _is_pair(entry.get("timestamp")) else (entry.get("start"), entry.get("end"))
        yield _entry(
            f"segment {number}",
            start,
            # The last segment of some transcribers is open.
            end,
            speaker=clean(str(entry.get("speaker") or "")),
            text=clean(str(entry.get("text") or entry.get("label") or "")),
            recording=str(recording),
        )


def _list(document: Any) -> list[Any] | None:
    """Find the list of segments in a document."""
    for keys in ((), *_LISTS):
        value = document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            return value
    return None


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2


def _entry(place: str, start: Any, end: Any, unit: float = 1.0, lasting: bool = False, **more: Any) -> Entry:
    """Build a stretch; if its times are wrong, return the place and the problem.

    Args:
        place: of the entry in the file.
        start: a number, or a text such as `12.5` or `1:02:03,500`.
        end: like the start; None: open.
        unit: of the numbers, in s.
        lasting: whether `end` is the duration.
        more: further arguments of `Stretch`.
    """
    try:
        begin = unit * _seconds(start)
        stop = None if end is None else unit * _seconds(end)
        return Stretch(begin, begin + stop if lasting and stop is not None else stop, **more)
    except ValueError as error:
        return f"{place}: {error}"


def _seconds(value: Any) -> float:
    """Return a number, or the seconds of `1:02:03.500`, `02:03.500` or `02:03,500`."""
    *longer, last = value.split(":") if isinstance(value, str) else [value]
    try:
        if isinstance(value, bool):
            raise TypeError
        seconds = float(last.replace(",", ".") if longer else last)
        return seconds + sum(60.0**power * int(part) for power, part in enumerate(reversed(longer), 1))
    except (TypeError, ValueError):
        raise ValueError(f"a time must be a number, got {value!r}") from None


#: File ending -> what reads the text of such a file.
FORMATS: Mapping[str, Callable[[str], Iterable[Entry]]] = {
    ".rttm": rttm,
    ".srt": subtitles,
    ".vtt": subtitles,
    ".textgrid": textgrid,
    ".eaf": elan,
    ".txt": audacity,
    ".json": structured,
}
