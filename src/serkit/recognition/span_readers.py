"""Readers of given segments: diarizations, transcripts and annotations of other tools.

A reader takes the text of a file and returns its `Span`s. Times are in s. Every other value of a segment is kept as a
column. `read` chooses the reader by the ending of the file's name and by its content.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from serkit import sheets
from serkit.corpora.columns import Reading, meaning, named
from serkit.corpora.durations import seconds
from serkit.documents import parse_json
from serkit.errors import UserError, unknown
from serkit.recognition.spans import Span, Spans
from serkit.sheets import text_of
from serkit.text import clean, is_missing

#: Endings of files that hold segments of one recording or of several.
SUFFIXES = (".rttm", ".srt", ".vtt", ".textgrid", ".eaf", ".json", ".jsonl", ".csv", ".tsv", ".txt", ".parquet")

# Whole numbers from here on may be milliseconds as well as seconds.
_MAY_BE_MS = 1000


def read(path: str | Path, reading: Reading | None = None, tiers: Sequence[str] = ()) -> Spans:
    """Read a file of segments.

    RTTM, SubRip, WebVTT, TextGrid, ELAN, labels of Audacity, JSON of whisper, whisperX, whisper.cpp, transformers and
    pyannote, serkit's own JSON, tables and tables of audformat.

    Args:
        path: the file.
        reading: how to read a table: names of columns, and unit of times.
        tiers: tiers to read from a TextGrid or an ELAN document; empty: all.

    Raises:
        UserError: the file cannot be read, has another format, or names no start.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'} (segments)")
    return read_content(path, sheets.content(path), reading, tiers)


def read_content(path: Path, content: bytes, reading: Reading | None = None, tiers: Sequence[str] = ()) -> Spans:
    """Read the content of a file of segments; `path` gives its name and ending. Errors are those of `read`."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in _TEXTS and suffix not in sheets.SUFFIXES:
        raise UserError(f"{path}: is not a file of segments; supported are {', '.join(SUFFIXES)}")
    if tiers and suffix not in (".textgrid", ".eaf"):
        raise UserError(f"{path}: has no tiers; --tier is for TextGrid and ELAN")
    if suffix in _TEXTS or suffix in (".txt", *sheets.JSON_SUFFIXES):
        text, caution = sheets.decode(path, content)
        cautions = [f"{path}: {caution}"] if caution else []
        if suffix in _TEXTS:
            spans, more = _TEXTS[suffix](path, text, tiers)
            return Spans(str(path), spans, [*cautions, *more])
        if suffix in sheets.JSON_SUFFIXES:
            return Spans(str(path), list(_json(path, text, suffix)), cautions)
        if _AUDACITY.match(text):
            return Spans(str(path), list(_audacity(path, text)), cautions)
        if not text.strip():
            return Spans(str(path), [], cautions)
    return _table(path, sheets.parse(path, content), reading or Reading())


_Read = tuple[list[Span], list[str]]


def _rttm(path: Path, text: str, tiers: Sequence[str] = ()) -> _Read:
    """Read Rich Transcription Time Marked; its channels count only if there is a second one.

    Source: NIST, RT-09 evaluation plan, appendix A.
    """
    spans = []
    for place, fields in _lines(text):
        if fields[0].startswith(";;") or fields[0] != "SPEAKER":
            continue
        if len(fields) < 8:
            raise UserError(f"{path}, {place}: must have 9 or 10 fields, got {len(fields)}")
        start = _number(path, place, fields[3])
        columns = {"confidence": fields[8]} if len(fields) > 8 and fields[8] != "<NA>" else {}
        if not fields[2].isdecimal() or int(fields[2]) < 1:
            raise UserError(f"{path}, {place}: the channel must be a number from 1, got '{fields[2]}'")
        end = start + _number(path, place, fields[4])
        speaker = "" if fields[7] == "<NA>" else fields[7]
        # Added numbers of three decimal places have more; rounding makes turns that meet meet exactly.
        spans.append(Span(start, round(end, 6), speaker, int(fields[2]) - 1, fields[1], columns, place))
    stereo = {span.file for span in spans if span.channel}
    return [span if span.file in stereo else _without_channel(span) for span in spans], []


def _without_channel(span: Span) -> Span:
    return Span(span.start, span.end, span.speaker, None, span.file, span.columns, span.place)


def _lines(text: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if fields := line.split():
            yield f"line {number}", fields


def _number(path: Path, place: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{path}, {place}: a time must be a number in s, got '{text}'") from None


_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_CUE = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_VOICE = re.compile(r"<v(?:\.[^ \t>]*)?[ \t]+([^>]*)>")
_TAG = re.compile(r"</?[^>]*>")
# whisperX writes the speaker in brackets before the text.
_SPEAKER = re.compile(r"\[(SPEAKER_\d+)\]:\s*")


def _captions(path: Path, text: str, tiers: Sequence[str] = ()) -> _Read:
    """Read SubRip or WebVTT: https://www.w3.org/TR/webvtt1/. A voice tag names the speaker."""
    spans: list[Span] = []
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if "-->" not in line:
            continue
        cue = _CUE.fullmatch(line)
        if cue is None:
            raise UserError(f"{path}, line {number}: must be as 00:00:01.500 --> 00:00:03.000, got '{line.strip()}'")
        body = []
        for other in lines[number:]:
            if not other.strip():
                break
            body.append(other)
        said = "\n".join(body)
        speaker = ""
        if text.startswith("WEBVTT"):
            if voice := _VOICE.search(said):
                speaker = clean(html.unescape(voice[1]))
            said = html.unescape(_TAG.sub("", said))
        if not speaker and (marked := _SPEAKER.match(said)):
            speaker, said = marked[1], said[marked.end() :]
        start, end = (_clock(cue.groups()[at : at + 4]) for at in (0, 4))
        spans.append(Span(start, end, speaker, columns={"text": clean(said)}, place=f"line {number}"))
    return spans, []


def _clock(parts: Sequence[str]) -> float:
    """Return s of hours, minutes, seconds and the digits behind the point."""
    hours, minutes, whole, rest = parts
    return (3600000 * int(hours or 0) + 60000 * int(minutes) + 1000 * int(whole) + int(f"{rest:0<3}")) / 1000


_AUDACITY = re.compile(r"\ufeff?\s*[+-]?[\d.,]+(?:[eE][+-]?\d+)?\t[+-]?[\d.,]+(?:[eE][+-]?\d+)?(?:\t[^\n]*)?(?:\n|$)")


def _audacity(path: Path, text: str) -> Iterator[Span]:
    """Read a label track of Audacity. A line that begins with a backslash is the band of the label before it."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("\\"):
            continue
        start, end, *label = line.split("\t", 2)
        place = f"line {number}"
        # Audacity writes the decimal comma of the system.
        first, last = (_number(path, place, one.replace(",", ".")) for one in (start, end))
        yield Span(first, last, columns={"text": clean(label[0])} if label else {"text": ""}, place=place)


_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(<exists>|<absent>)|([^\s"]+)')


def _textgrid(path: Path, text: str, tiers: Sequence[str] = ()) -> _Read:
    """Read a TextGrid of Praat, in the long or the short form. Intervals without text are left out."""
    # Both forms hold the same values in the same order; the long form adds names, which are no values.
    values: list[str | float] = []
    begun = False
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            values.append(match[1].replace('""', '"'))
            begun = begun or match[1] == "TextGrid"
        elif match[2] or not begun:
            continue
        else:
            try:
                values.append(float(match[3]))
            except ValueError:
                continue
    if values[:2] != ["ooTextFile", "TextGrid"]:
        raise UserError(f"{path}: is not a TextGrid in text form; in Praat, use 'Save as text file'")
    found: dict[str, list[Span]] = {}
    # The long form repeats `item [1]:` and `intervals [1]:`, whose numbers are in brackets and thus no values.
    numbers = iter(values[2:])
    try:
        next(numbers), next(numbers)
        for _ in range(_whole(next(numbers))):
            kind, name = str(next(numbers)), clean(str(next(numbers)))
            next(numbers), next(numbers)
            count = _whole(next(numbers))
            spans = found.setdefault(name, [])
            for place in range(1, count + 1):
                if kind != "IntervalTier":
                    next(numbers), next(numbers)
                    continue
                start, end, said = float(next(numbers)), float(next(numbers)), clean(str(next(numbers)))
                if said:
                    spans.append(Span(start, end, columns={"text": said}, place=f"tier '{name}', interval {place}"))
    except (StopIteration, ValueError):
        raise UserError(f"{path}: ends early, or is not a TextGrid") from None
    return _of_tiers(path, found, {}, tiers)


def _whole(value: str | float) -> int:
    if isinstance(value, str) or not float(value).is_integer() or value < 0:
        raise ValueError(value)
    return int(value)


def _eaf(path: Path, text: str, tiers: Sequence[str] = ()) -> _Read:
    """Read a document of ELAN: its tiers with times, except those that depend on another.

    Source: The Language Archive, EAF annotation format 3.0.
    """
    if re.search(r"<!(?:DOCTYPE|ENTITY)", text[:65536]):
        raise UserError(f"{path}: declares a document type, which ELAN does not write")
    try:
        document = ElementTree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    except ElementTree.ParseError as error:
        raise UserError(f"{path}: is not XML ({error})") from None
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in document.iter("TIME_SLOT")}
    found: dict[str, list[Span]] = {}
    speakers: dict[str, str] = {}
    for tier in document.iter("TIER"):
        name = clean(tier.get("TIER_ID", ""))
        if tier.get("PARENT_REF") and name not in tiers:
            continue
        if tier.get("PARTICIPANT"):
            speakers[name] = clean(tier.get("PARTICIPANT", ""))
        spans = found.setdefault(name, [])
        for one in tier.iter("ALIGNABLE_ANNOTATION"):
            place = f"annotation {one.get('ANNOTATION_ID')}"
            first, last = (times.get(one.get(f"TIME_SLOT_REF{end}")) for end in (1, 2))
            if first is None or last is None:
                raise UserError(f"{path}, {place}: its times are missing; in ELAN, align the annotation")
            said = clean(one.findtext("ANNOTATION_VALUE") or "")
            start, end = (_number(path, place, time) / 1000 for time in (first, last))
            spans.append(Span(start, end, columns={"text": said}, place=place))
    return _of_tiers(path, found, speakers, tiers)


def _of_tiers(
    path: Path, found: Mapping[str, Sequence[Span]], speakers: Mapping[str, str], chosen: Sequence[str]
) -> _Read:
    """Join tiers. If several are read, each is a speaker, unless the document names its speakers."""
    for name in chosen:
        if name not in found:
            raise UserError(f"{path}: {unknown('tier', name, found)}")
    read = {name: spans for name, spans in found.items() if spans and (not chosen or name in chosen)}
    several = len(read) > 1
    told = (
        [f"{path}: tiers {', '.join(read)} were read, each as a speaker; --tier NAME chooses"]
        if (several and not chosen and not speakers)
        else []
    )
    joined = []
    for name, spans in read.items():
        speaker = speakers.get(name, name if several else "")
        joined += [Span(one.start, one.end, speaker, columns=one.columns, place=one.place) for one in spans]
    return joined, told


_TEXTS: Mapping[str, Callable[[Path, str, Sequence[str]], _Read]] = {
    ".rttm": _rttm,
    ".srt": _captions,
    ".vtt": _captions,
    ".textgrid": _textgrid,
    ".eaf": _eaf,
}


def _json(path: Path, text: str, suffix: str) -> Iterator[Span]:
    """Read JSON of other tools, or serkit's own."""
    if suffix == ".json":
        documents = [parse_json(text, path)]
    else:
        documents = [
            parse_json(line, f"{path}, line {n}") for n, line in enumerate(text.split("\n"), 1) if line.strip()
        ]
    number = 0
    for document in documents:
        for shared, entry in _entries(document):
            number += 1
            place = f"segment {number}"
            if not isinstance(entry, dict):
                raise UserError(f"{path}, {place}: must be a JSON object, got a {type(entry).__name__}")
            yield _span(path, place, shared, entry)
    if not number and not all(isinstance(one, (list, dict)) for one in documents):
        raise UserError(f"{path}: must hold a JSON object or a list")


#: Keys under which tools list segments: whisper, whisperX and serkit; transformers; whisper.cpp; pyannote.audio 4;
#: pyannote.core; the API of pyannote.
_LISTS = ("segments", "chunks", "transcription", "diarization", "content", "output")


def _entries(document: Any) -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Yield each segment of a document, and the object around it."""
    if isinstance(document, list):
        for one in document:
            if isinstance(one, dict) and any(isinstance(one.get(key), list) for key in _LISTS):
                yield from _entries(one)
            else:
                yield {}, one
        return
    if not isinstance(document, dict):
        return
    for key in _LISTS:
        inner = document.get(key)
        if isinstance(inner, dict):
            yield from _entries(inner)
            return
        if isinstance(inner, list):
            yield from ((document, one) for one in inner)
            return
    yield {}, document


def _span(path: Path, place: str, shared: Mapping[str, Any], entry: Mapping[str, Any]) -> Span:
    """Return the segment of a JSON object."""
    entry = dict(entry)
    start: Any = None
    end: Any = None
    scale = 1.0
    if isinstance(entry.get("segment"), dict):  # pyannote.core
        entry |= entry.pop("segment")
        if "speaker" not in entry and "label" in entry:
            entry["speaker"] = entry.pop("label")
    if isinstance(entry.get("timestamp"), list) and len(entry["timestamp"]) == 2:  # transformers
        start, end = entry.pop("timestamp")
    elif isinstance(entry.get("offsets"), dict):  # whisper.cpp
        offsets = entry.pop("offsets")
        start, end, scale = offsets.get("from"), offsets.get("to"), 1000.0
    known: dict[str, Any] = {}
    columns = {}
    for name, value in entry.items():
        means = meaning(name)
        if means in ("start", "end", "duration", "speaker", "channel", "path") and means not in known:
            known[means] = value
        elif not isinstance(value, (list, dict)):
            columns[clean(name)] = text_of(value).strip()
    start = known.get("start", start)
    end = known.get("end", end)
    if start is None or isinstance(start, (list, dict, bool)):
        raise UserError(f"{path}, {place}: has no start")
    first = _time(path, place, start) / scale
    if end is None and known.get("duration") is not None:
        end = first + _time(path, place, known["duration"])
    last = None if end is None else _time(path, place, end) / scale
    file = known.get("path") or next((shared[key] for key in ("file", "uri", "audio") if key in shared), "")
    return Span(
        first,
        last,
        text_of(known.get("speaker")),
        _channel(path, place, known.get("channel")),
        file if isinstance(file, str) else "",
        columns,
        place,
    )


def _time(path: Path, place: str, value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    try:
        return seconds(str(value), "s")
    except ValueError:
        raise UserError(f"{path}, {place}: a time must be a number in s, got {value!r}") from None


def _channel(path: Path, place: str, value: Any) -> int | None:
    if value is None or is_missing(str(value)):
        return None
    text = text_of(value)
    if not text.isdecimal():
        raise UserError(f"{path}, {place}: channel must be the number of a channel, from 0, got '{text}'")
    return int(text)


def _table(path: Path, read: sheets.Sheet, reading: Reading) -> Spans:
    """Read a table: `start` and `end` or `duration`; `path`, `speaker` and `channel` if there are any."""
    sheet = read.sound()
    found = named(sheet, reading.columns)
    columns = found.sheet.columns
    first = "start" if "start" in columns else "offset"
    if first not in columns:
        raise UserError(f"{path}: {unknown('column', 'start', filter(None, sheet.columns))}")
    times = [name for name in (first, "end", "duration") if name in columns]
    unit = reading.times or _unit_of(
        path, sheet.columns, found.sheet, [name for name in times if name not in found.units]
    )
    own = {"path", "speaker", "channel", *times}
    # Under the names of the file.
    headers = {found.headers.get(name, name): name for name in columns if name not in own}
    spans = []
    for number, row in found.sheet.rows.items():
        place = f"row {number}"
        values = {name: _cell(path, place, name, row[name], found.units.get(name, unit), sheet) for name in times}
        start, end = values[first], values.get("end")
        if start is None:
            raise UserError(f"{path}, {place}: {first} is empty")
        if end is None and values.get("duration") is not None:
            end = start + (values["duration"] or 0.0)
        speaker = row.get("speaker", "")
        spans.append(
            Span(
                start,
                end,
                "" if is_missing(speaker) else speaker,
                _channel(path, place, row.get("channel")),
                row.get("path", ""),
                {header: row[name] for header, name in headers.items()},
                place,
            )
        )
    return Spans(str(path), spans, [f"{path}: {caution}" for caution in found.sheet.cautions])


def _cell(path: Path, place: str, name: str, text: str, unit: str, sheet: sheets.Sheet) -> float | None:
    if text.strip().lower() == "nan":
        return float("nan")
    if is_missing(text):
        return None
    text = text.replace(",", ".") if sheet.decimal_comma else text
    try:
        return seconds(text, unit)
    except ValueError:
        raise UserError(f"{path}, {place}: {name} must be a time in s or as 0 days 00:00:01.5, got '{text}'") from None


def _unit_of(path: Path, header: Sequence[str], sheet: sheets.Sheet, times: Iterable[str]) -> str:
    """Return the unit of bare numbers: s, unless they may be milliseconds.

    Raises:
        UserError: they may be both.
    """
    texts = [row[name] for row in sheet.rows.values() for name in times if not is_missing(row[name])]
    if not texts or not all(text.isdecimal() for text in texts) or max(map(int, texts)) < _MAY_BE_MS:
        return "s"
    if list(header) == ["start", "end", "text"]:  # whisper's TSV
        return "ms"
    raise UserError(
        f"{path}: times are whole numbers up to {max(map(int, texts))} without a unit, which may be seconds or "
        "milliseconds; add --times s or --times ms"
    )
