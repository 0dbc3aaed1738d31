"""Output formats of `serkit predict`: a table for people, one JSON document, JSON lines, or CSV.

JSON lines and CSV hold one line per recording. Lines are written at once, and an interrupted run can be resumed.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from serkit.documents import parse_json
from serkit.errors import UserError
from serkit.recognition.jobs import Failure
from serkit.recognition.prediction import DIGITS, Prediction, csv_columns
from serkit.recognition.table import Table
from serkit.spreadsheet import harmless

Result = Prediction | Failure


class Format(StrEnum):
    """Format of the results."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"

    @property
    def by_line(self) -> bool:
        """Whether each result is written at once."""
        return self in (Format.jsonl, Format.csv)


class JsonLines:
    """One JSON object per line: `{"file": ..., "label": ..., ...}`, with `values` of numbers, or with `error`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        self._stream.write(json.dumps(as_dict(result), ensure_ascii=False) + "\n")
        self._stream.flush()

    def finish(self) -> None:
        pass


class Csv:
    """The columns of `csv_columns`.

    Args:
        stream: opened with newline="".
        names: names of the bundle's labels, or of its numbers.
        numbers: whether the bundle predicts numbers.
        header: whether to start with the names of the columns.
        each: whether each channel has a row.
    """

    def __init__(
        self, stream: TextIO, names: Sequence[str], numbers: bool = False, header: bool = True, each: bool = False
    ) -> None:
        self._stream = stream
        self._names = names
        self._numbers = numbers
        self._each = each
        self._columns = csv_columns(names, numbers, each)
        self._rows = csv.writer(stream, lineterminator="\n")
        if header:
            self._rows.writerow(self._columns)

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            cells = [*[""] * (len(self._columns) - 2 - self._each), result.error]
        elif self._numbers:
            cells = [*map(_rounded, [result.duration, *(result.values[name] for name in self._names)]), ""]
        else:
            probabilities = (result.probabilities[name] for name in self._names)
            values = map(_rounded, [result.confidence, result.duration, *probabilities])
            cells = [result.label, str(result.sure).lower(), result.doubt, *values, ""]
        channel = [] if not self._each else [""] if isinstance(result, Failure) else [result.channel]
        self._rows.writerow([result.file, *channel, *cells])
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class Json:
    """One document: the list of all results in the form of `as_dict`."""

    def __init__(self, stream: TextIO, as_dict: Callable[[Any], dict[str, object]]) -> None:
        self._stream = stream
        self._as_dict = as_dict
        self._results: list[dict[str, object]] = []

    def write(self, result: Any) -> None:
        self._results.append(self._as_dict(result))

    def finish(self) -> None:
        self._stream.write(json.dumps(self._results, indent=1, ensure_ascii=False) + "\n")


class LabelTable(Table):
    """Table for people: a row for each recording."""

    def __init__(self, stream: TextIO, each: bool = False) -> None:
        channel = {"channel": True} if each else {}
        super().__init__(stream, {**channel, "label": False, "confidence": True, "seconds": True})

    def rows(self, result: Prediction) -> Iterator[Sequence[str]]:
        label = result.label if result.sure else f"{result.label} (unsure: {result.doubt})"
        yield *_channel(result, str), label, f"{result.confidence:.2f}", f"{result.duration:.2f}"


class NumberTable(Table):
    """Table for people: a row for each recording, a column for each number."""

    def __init__(self, stream: TextIO, numbers: Sequence[str], each: bool = False) -> None:
        super().__init__(stream, dict.fromkeys([*(["channel"] if each else []), *numbers, "seconds"], True))

    def rows(self, result: Prediction) -> Iterator[Sequence[str]]:
        yield *_channel(result, str), *(f"{value:.3f}" for value in result.values.values()), f"{result.duration:.2f}"


def writer(
    format: Format,
    stream: TextIO,
    names: Sequence[str],
    begun: bool = False,
    numbers: bool = False,
    each: bool = False,
) -> JsonLines | Csv | Json | Table:
    """Build the writer of a format.

    Args:
        format: its name.
        stream: opened with newline="".
        names: names of the bundle's labels, or of its numbers.
        begun: whether the stream already has its first lines.
        numbers: whether the bundle predicts numbers.
        each: whether each channel has an answer.
    """
    if format is Format.csv:
        return Csv(stream, names, numbers, not begun, each)
    if format is Format.jsonl:
        return JsonLines(stream)
    if format is Format.json:
        return Json(stream, as_dict)
    return NumberTable(stream, names, each) if numbers else LabelTable(stream, each)


def as_dict(result: Result) -> dict[str, object]:
    """Return a result in its JSON form."""
    if isinstance(result, Failure):
        return {"file": result.file, "error": result.error}
    return result.to_dict()


def _channel(result: Prediction, form: Callable[[int], Any] = int) -> list[Any]:
    """Return the cell with the channel of a result, or no cell if the result is of the whole recording."""
    return [] if result.channel is None else [form(result.channel)]


def _rounded(number: float) -> str:
    return str(round(number, DIGITS))


def resume(
    path: Path, format: Format, labels: Sequence[str], numbers: bool = False, timelines: bool = False
) -> dict[str, bool]:
    """Read the output of an interrupted run, and cut off its incomplete last line.

    Args:
        path: path of the file; a missing file has no answers.
        format: a format that is written by line.
        labels: labels of the bundle that continues, or the names of its numbers.
        numbers: whether they are numbers.
        timelines: whether the file holds timelines instead of predictions; timelines in CSV cannot be resumed.

    Returns:
        Whether each file was recognized, in the order of the lines.

    Raises:
        UserError: a complete line has another format or other labels.
    """
    if not path.exists():
        return {}
    content = path.read_bytes()
    read = _answer_of_csv if format is Format.csv else _timeline_of_jsonl if timelines else _answer_of_jsonl
    names = labels if format is Format.jsonl else csv_columns(labels, numbers)
    command = f"serkit predict{' --timeline' if timelines else ''} --format {format}"
    answers: dict[str, bool] = {}
    whole = 0
    for number, line in enumerate(_whole_lines(content, quoted=format is Format.csv), 1):
        whole += len(line)
        try:
            answer = read(line.decode(), names, number)
        except (ValueError, KeyError, TypeError, IndexError, UserError):
            raise UserError(f"{path}: line {number} was not written by `{command}`; choose another --out") from None
        if answer is None:
            raise UserError(
                f"{path}: line {number} has other labels than {', '.join(labels)} (from another model); "
                "choose another --out"
            )
        answers.update(answer)
    if whole < len(content):
        start = b'{"file": ' if format is Format.jsonl else b"file,"
        if not whole and not (content.startswith(start) or start.startswith(content)):
            raise UserError(f"{path}: was not written by `{command}`; choose another --out")
        with open(path, "r+b") as file:
            file.truncate(whole)
    return answers


def is_answered(file: str, answers: Mapping[str, bool]) -> bool:
    """Return whether `resume` has found a recording, under its name or its form in CSV."""
    # CSV escapes what UTF-8 cannot encode, and puts an apostrophe before formulas.
    written = file.encode(errors="backslashreplace").decode()
    return not answers.keys().isdisjoint((file, written, harmless(written)))


def _whole_lines(content: bytes, quoted: bool) -> Iterator[bytes]:
    """Yield each complete line. In CSV, a line break inside quotes does not end a line."""
    begin = end = 0
    while (end := content.find(b"\n", end) + 1) > 0:
        if not quoted or content.count(b'"', begin, end) % 2 == 0:
            yield content[begin:end]
            begin = end


def _answer_of_jsonl(line: str, labels: Sequence[str], number: int) -> dict[str, bool] | None:
    """Return {file: whether it was recognized}, or None if the labels differ."""
    answer = parse_json(line, "line")
    if "error" in answer:
        return {answer["file"]: False}
    found = answer["values"] if "values" in answer else answer["probabilities"]
    return {answer["file"]: True} if list(found) == list(labels) else None


def _timeline_of_jsonl(line: str, labels: Sequence[str], number: int) -> dict[str, bool] | None:
    """Like `_answer_of_jsonl`, for a line that holds a timeline."""
    answer = parse_json(line, "line")
    if "error" in answer:
        return {answer["file"]: False}
    return {answer["file"]: True} if answer["labels"] == list(labels) else None


def _answer_of_csv(line: str, columns: Sequence[str], number: int) -> dict[str, bool] | None:
    [row] = csv.reader(io.StringIO(line, newline=""))
    if number == 1:
        if (row[0], row[-1]) != ("file", "error"):
            raise ValueError("header is missing")
        return {} if row == list(columns) else None
    if len(row) != len(columns):
        raise ValueError("number of columns differs")
    return {row[0]: not row[-1]}
