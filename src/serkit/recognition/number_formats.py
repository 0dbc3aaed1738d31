"""Output formats of `serkit predict` for bundles that predict numbers; `formats` has the common parts."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from serkit.recognition import formats
from serkit.recognition.formats import DIGITS, Format, Json, JsonLines, Result, as_dict
from serkit.recognition.jobs import Failure
from serkit.recognition.model import Prediction
from serkit.recognition.table import Table


class Csv:
    """Columns file, duration, one per number, error.

    Args:
        stream: opened with newline="".
        numbers: names of the numbers.
        header: whether to start with the names of the columns.
    """

    def __init__(self, stream: TextIO, numbers: Sequence[str], header: bool = True) -> None:
        self._stream = stream
        self._numbers = numbers
        self._rows = csv.writer(stream, lineterminator="\n")
        if header:
            self._rows.writerow(csv_columns(numbers))

    def write(self, result: Result) -> None:
        if isinstance(result, Failure):
            row = [result.file, "", *("" for _ in self._numbers), result.error]
        else:
            found = [result.duration, *(result.values[name] for name in self._numbers)]
            row = [result.file, *(str(round(number, DIGITS)) for number in found), ""]
        self._rows.writerow(row)
        self._stream.flush()

    def finish(self) -> None:
        self._stream.flush()


class NumberTable(Table):
    """Table for people: a row for each recording, a column for each number."""

    def __init__(self, stream: TextIO, numbers: Sequence[str]) -> None:
        super().__init__(stream, dict.fromkeys([*numbers, "seconds"], True))

    def rows(self, result: Prediction) -> Iterator[Sequence[str]]:
        yield *(f"{value:.3f}" for value in result.values.values()), f"{result.duration:.2f}"


def writer(
    format: Format, stream: TextIO, numbers: Sequence[str], begun: bool = False
) -> Csv | JsonLines | Json | Table:
    """Build the writer of a format. `begun`: the stream already has its first lines."""
    if format is Format.csv:
        return Csv(stream, numbers, header=not begun)
    if format is Format.jsonl:
        return JsonLines(stream)
    return Json(stream, as_dict) if format is Format.json else NumberTable(stream, numbers)


def csv_columns(numbers: Iterable[str]) -> list[str]:
    """Names of the columns of CSV."""
    return ["file", "duration", *numbers, "error"]


def resume(path: Path, format: Format, numbers: Sequence[str]) -> dict[str, bool]:
    """Read the output of an interrupted run; see `serkit.recognition.formats.resume`."""
    return formats.resume(path, format, numbers, csv_columns(numbers))
