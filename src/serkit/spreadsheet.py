"""CSV that is safe for spreadsheets: an apostrophe precedes every field that would run as a formula.

File names and labels come from strangers. Spreadsheets run a field that starts with `=`, `+`, `-` or `@` as a formula,
which can fetch addresses and start programs: https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any, TextIO

# Spreadsheets treat the full-width forms of Japanese and Chinese keyboards the same way.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan)")


def harmless(field: str) -> str:
    """Put an apostrophe before a field that a spreadsheet would run; numbers are unchanged.

    >>> harmless("=HYPERLINK(A1)"), harmless("-0.5")
    ("'=HYPERLINK(A1)", '-0.5')
    """
    return f"'{field}" if _FORMULA.match(field) and not _NUMBER.fullmatch(field) else field


def harmless_rows(text: str) -> str:
    """Return complete rows of CSV with each field made harmless."""
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\r\n" if text.endswith("\r\n") else "\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow(map(harmless, row))
    return rows.getvalue()


class Harmless:
    """A stream for CSV that makes each field harmless; every write must hold complete rows."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(harmless_rows(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
