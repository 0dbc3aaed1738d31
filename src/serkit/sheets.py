"""Tables that people bring: delimited text, spreadsheets, Parquet and JSON lines, all as rows of text.

Text may be UTF-8, UTF-16 or Windows-1252, and its cells may be separated by commas, semicolons, tabs or bars; both are
found from the content. Files may be compressed with gzip (`calls.csv.gz`).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serkit.documents import parse_json
from serkit.errors import UserError
from serkit.text import clean, is_missing

Row = Mapping[str, str]
#: Rows by number in the file; the header is row 1. Formats without rows use names: `utterance x1`.
Place = int | str

#: Commas come last: they are the most frequent inside cells.
_DELIMITERS = ("\t", "|", ";", ",")
_DELIMITED = (".csv", ".tsv", ".tab", ".psv", ".txt")
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
SUFFIXES = (*_DELIMITED, *JSON_SUFFIXES, *_SPREADSHEETS, ".parquet")

# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# In text of western Europe, letters outside ASCII stand alone or in pairs, and signs are not inside words. Other 8-bit
# encodings, read as Windows-1252, have such runs and signs.
_NOT_WESTERN = re.compile(r"[^\x00-\x7f‘’“”„«»–—…€]{3}|[^\W\d_][¡¢£¤¥¦§¨©¬®¯°±²³µ¶¸¹¼½¾¿‚ƒ†‡ˆ‰‹›•˜™][^\W\d_]")
_NON_ASCII = re.compile(r"\w*[^\x00-\x7f]\w*")
# What is parsed to find the delimiter.
_SAMPLE = 65536
_CONTAINERS = {
    b"PK\x03\x04": "a spreadsheet or ZIP file",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of old Excel",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip",
}


@dataclass(frozen=True)
class Sheet:
    """Content of a table.

    Args:
        path: its file.
        columns: header, cleaned (see `serkit.text`); names are unique, but any number may be empty.
        rows: cells by column, stripped; an empty cell is an empty string. Blank rows are left out.
        faults: reason by number for each row that does not fit the header; such rows are not in `rows`.
        cautions: what was assumed about the file, one line each.
        decimal_comma: whether numbers may be written with a comma, as in tables separated by semicolons.
    """

    path: Path
    columns: Sequence[str]
    rows: Mapping[int, Row]
    faults: Mapping[int, str] = field(default_factory=dict)
    cautions: Sequence[str] = ()
    decimal_comma: bool = False

    def sound(self) -> Sheet:
        """Return the sheet itself if all rows fit its header.

        Raises:
            UserError: rows do not; all are listed.
        """
        if self.faults:
            raise bad_rows(self.path, self.faults)
        return self


def read(path: Path) -> Sheet:
    """Read a table; the name's ending tells its format.

    Raises:
        UserError: the file is not a table or cannot be read, or a column appears twice.
    """
    if path.is_dir() or _suffix(path) not in SUFFIXES:
        raise UserError(f"{path}: is not a table; supported are {', '.join(SUFFIXES)}")
    return parse(path, content(path))


def parse(path: Path, raw: bytes) -> Sheet:
    """Read the content of a table; the ending of its name, one of `SUFFIXES`, tells its format.

    Raises:
        UserError: the content is not such a table, or a column appears twice.
    """
    suffix = _suffix(path)
    if suffix == ".parquet":
        return _parquet(path, raw)
    if suffix in _SPREADSHEETS:
        return _spreadsheet(path, raw)
    return _json_rows(path, raw) if suffix in JSON_SUFFIXES else _delimited(path, raw)


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def bad_rows(path: Path, faults: Mapping[Any, str], total: int | None = None, remedy: str = "") -> UserError:
    """Build the error that lists all bad rows of a table, grouped by what is wrong with them.

    Args:
        path: the table.
        faults: reason by row. Reasons that are equal up to a colon are listed together, with three of their ends.
        total: number of rows of the table.
        remedy: end of the message.

    >>> faults = {3: "emotion is empty", 4: "no such file: a.wav", 5: "no such file: b.wav"}
    >>> str(bad_rows(Path("my.csv"), faults))
    'my.csv: 3 rows are bad: row 3: emotion is empty; rows 4-5: no such file: a.wav, b.wav'
    """
    if len(faults) == 1:
        [(place, reason)] = faults.items()
        return UserError(f"{path}, {name_rows([place])}: {reason}{remedy}")
    whole = f" of {total}" if total else ""
    return UserError(f"{path}: {len(faults)}{whole} rows are bad: {listed(faults)}{remedy}")


def listed(faults: Mapping[Any, str]) -> str:
    """Return all bad rows as text, grouped by reason; see `bad_rows`."""
    groups: dict[str, list[Place]] = {}
    ends: dict[str, list[str]] = {}
    for place, reason in faults.items():
        kind, _, end = reason.partition(": ")
        groups.setdefault(kind, []).append(place)
        ends.setdefault(kind, []).append(end)
    parts = []
    for kind, places in groups.items():
        told = [end for end in dict.fromkeys(ends[kind]) if end]
        examples = f": {', '.join(told[:3])}{', ...' if len(told) > 3 else ''}" if told else ""
        parts.append(f"{name_rows(places)}: {kind}{examples}")
    return "; ".join(parts)


def name_rows(places: Sequence[Place]) -> str:
    """Name rows, neighbors as ranges; other places by their names.

    >>> name_rows([3]), name_rows([3, 7, 8, 9]), name_rows(["utterance a", "utterance b"])
    ('row 3', 'rows 3, 7-9', 'utterance a, utterance b')
    """
    runs: list[list[int]] = []
    for number in sorted(place for place in places if isinstance(place, int)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    numbers = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    count = sum(isinstance(place, int) for place in places)
    named = [f"row{'s' if count > 1 else ''} {numbers}"] if count else []
    return ", ".join([*named, *(place for place in places if isinstance(place, str))])


def text_of(value: object) -> str:
    """Return a value of Parquet, Excel or JSON as it would be written in CSV.

    Whole numbers become 3.0 in Parquet if another row is empty, and always in Excel; they are written without `.0`.
    """
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if its name ends with `.gz`.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None


def decode(path: Path, raw: bytes) -> tuple[str, str]:
    """Return text, and a caution if its encoding was assumed.

    Raises:
        UserError: the file is not text in UTF-8, UTF-16 or Windows-1252.
    """
    remedy = "save the table as UTF-8"
    for start, name in _CONTAINERS.items():
        if raw.startswith(start):
            raise UserError(f"{path}: is {name}, not text; name it accordingly, or {remedy}")
    encoding = next((name for mark, name in _MARKS.items() if raw.startswith(mark)), None)
    head = raw[:1024]
    if encoding is None and b"\0" in head:
        # UTF-16 without a mark: the zero bytes of ASCII characters are in every second place.
        little, big = head[1::2].count(0), head[::2].count(0)
        encoding = "utf-16-le" if little > big else "utf-16-be"
    try:
        text = raw.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise UserError(f"{path}: is not text ({error}); {remedy}") from None
    else:
        if "\0" in text:
            raise UserError(f"{path}: is not text; {remedy}")
        return text, ""
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or _NOT_WESTERN.search(text):
        raise UserError(f"{path}: is neither UTF-8 nor Windows-1252 text; {remedy}")
    words = list(dict.fromkeys(_NON_ASCII.findall(text)))
    examples = ", ".join(f"'{word}'" for word in words[:3])
    return text, f"is not UTF-8 and was read as Windows-1252; if {examples} should read differently, {remedy}"


def _delimited(path: Path, raw: bytes) -> Sheet:
    text, caution = decode(path, raw)
    delimiter = _delimiter(text)
    declared = re.match(r"sep=.(?=\r?\n)", text)  # Excel writes it before the header.
    if declared:
        delimiter, text = declared[0][-1], text[declared.end() :]
    # Strict, because an unclosed quote would swallow all following rows.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = list(reader)
    except csv.Error as error:
        raise UserError(
            f"{path}, line {reader.line_num}: quotes do not match ({error}); close each, and double those inside a cell"
        ) from None
    filled = {number: line for number, line in enumerate(lines, start=1) if not all(map(is_missing, line))}
    return _sheet(path, filled, [caution] if caution else [], delimiter == ";")


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the rows most evenly into more than one cell; a comma if none does."""
    best, delimiter = (0.0, 0), ","
    for candidate in _DELIMITERS:
        try:
            lines = list(csv.reader(io.StringIO(text[:_SAMPLE], newline=""), delimiter=candidate))
        except csv.Error:
            continue
        header, *rows = [line for line in lines if any(line)] or [[]]
        if len(text) > _SAMPLE:
            rows = rows[:-1]  # The last row may be cut off.
        even = sum(len(row) == len(header) for row in rows) / max(1, len(rows))
        if len(header) > 1 and (even, len(header)) > best:
            best, delimiter = (even, len(header)), candidate
    return delimiter


def _sheet(path: Path, filled: dict[int, list[str]], cautions: Sequence[str], decimal_comma: bool = False) -> Sheet:
    """Build a sheet of lists of cells; the first is the header."""
    header = next(iter(filled), 0)
    columns = list(map(clean, filled.pop(header, [])))
    _check_columns(path, columns)
    rows: dict[int, Row] = {}
    faults = {}
    for number, line in filled.items():
        if any(map(clean, line[len(columns) :])):
            faults[number] = f"{len(line)} values for {len(columns)} columns"
            continue
        padded = [*line, *[""] * (len(columns) - len(line))]
        rows[number] = {name: text.strip() for name, text in zip(columns, padded, strict=False)}
    return Sheet(path, columns, rows, faults, cautions, decimal_comma)


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise UserError(f"{path}: column '{twice[0]}' appears twice; rename or remove one")


def _spreadsheet(path: Path, raw: bytes) -> Sheet:
    try:
        import python_calamine
    except ImportError:
        raise UserError(f"{path}: spreadsheets require python-calamine: pip install 'serkit[tables]'") from None
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw))
        visible = [
            name.name for name in book.sheets_metadata if name.visible == python_calamine.SheetVisibleEnum.Visible
        ]
        pages = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in visible}
    except python_calamine.PasswordError:
        raise UserError(f"{path}: requires a password; save a copy without one") from None
    except (python_calamine.CalamineError, OSError) as error:
        raise UserError(f"{path}: is not a spreadsheet ({error})") from None
    pages = {
        name: page for name, page in pages.items() if any(any(cell not in ("", None) for cell in row) for row in page)
    }
    cautions = []
    if len(pages) > 1:
        first, *others = pages
        cautions = [f"has {len(pages)} filled sheets; read '{first}', not {', '.join(map(repr, others))}"]
    page: list[list[Any]] = next(iter(pages.values()), [])
    texts = {number: list(map(text_of, row)) for number, row in enumerate(page, start=1)}
    filled = {number: row for number, row in texts.items() if not all(map(is_missing, row))}
    return _sheet(path, filled, cautions)


def _parquet(path: Path, raw: bytes) -> Sheet:
    try:
        import pandas
    except ImportError:
        raise UserError(f"{path}: Parquet requires pandas: pip install 'serkit[lab]'") from None
    try:
        frame = pandas.read_parquet(io.BytesIO(raw))
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: is not a Parquet file ({error})") from None
    if any(name is not None for name in frame.index.names):  # audformat keeps file, start and end in the index
        frame = frame.reset_index()
    columns = [clean(str(name)) for name in frame.columns]
    known = frame.notna().to_numpy()
    lines = (
        [text_of(value) if there else "" for value, there in zip(line, mask, strict=True)]
        for line, mask in zip(frame.itertuples(index=False, name=None), known, strict=True)
    )
    filled = {number: line for number, line in enumerate(lines, start=2) if not all(map(is_missing, line))}
    return _sheet(path, {1: columns, **filled}, [])


def read_json_rows(path: Path) -> Sheet:
    """Read JSON lines, or a JSON list of objects. Values that are lists or objects are left out.

    An object with a list `segments`, such as a timeline, is a row per segment, with the values that they share.

    Raises:
        UserError: the file is not JSON, or holds something else than objects.
    """
    return _json_rows(path, content(path))


def _json_rows(path: Path, raw: bytes) -> Sheet:
    text, caution = decode(path, raw)
    rows: dict[int, Row] = {}
    objects = list(json_objects(path, text))
    if any("segments" in found for _, found in objects):
        objects = list(enumerate((row for _, found in objects for row in _segments(found)), start=1))
    for number, found in objects:
        values = {clean(name): value for name, value in found.items() if not isinstance(value, list | dict)}
        row = {name: text_of(value).strip() for name, value in values.items()}
        if not all(map(is_missing, row.values())):
            rows[number] = row
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    whole = {number: {name: row.get(name, "") for name in columns} for number, row in rows.items()}
    return Sheet(path, columns, whole, cautions=[caution] if caution else [])


def _segments(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    segments = found.get("segments")
    if not isinstance(segments, list):
        yield dict(found)
        return
    yield from ({**found, "segments": None, **segment} for segment in segments if isinstance(segment, dict))


def json_objects(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and content of the objects of JSON lines, or of a JSON list.

    Raises:
        UserError: the text is not JSON, or holds something else than objects.
    """
    if _suffix(path) == ".json" and text.lstrip().startswith("["):
        entries = parse_json(text, path)
        numbered = [(f"{path}, entry {number}", number, entry) for number, entry in enumerate(entries, start=1)]
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        wheres = [f"{path}, line {number}" for number, _ in lines]
        numbered = [
            (where, number, parse_json(line, f"{where}: is not in JSON lines format"))
            for where, (number, line) in zip(wheres, lines, strict=True)
        ]
    for where, number, entry in numbered:
        if not isinstance(entry, dict):
            raise UserError(f"{where}: is not a JSON object")
        yield number, entry
