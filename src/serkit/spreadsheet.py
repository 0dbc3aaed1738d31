"""CSV that no spreadsheet runs: a field that would be taken for a formula begins with an apostrophe.

Names of files and labels come from strangers. Spreadsheets run a field that begins with `=`, `+`, `-` or `@`, which can
fetch addresses and start programs: https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any, TextIO

# The wide forms of Japanese and Chinese keyboards are taken for the same.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf|nan)")


def harmless(field: str) -> str:
    """Put an apostrophe before a field that a spreadsheet would run; numbers stay as they are.

    >>> harmless("=HYPERLINK(A1)"), harmless("-0.5")
    ("'=HYPERLINK(A1)", '-0.5')
    """
    return f"'{field}" if _FORMULA.match(field) and not _NUMBER.fullmatch(field) else field


def harmless_rows(text: str) -> str:
    """Return whole rows of CSV with each field harmless."""
    rows = io.StringIO(newline="")
    writer = csv.writer(rows, lineterminator="\r\n" if text.endswith("\r\n") else "\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow(map(harmless, row))
    return rows.getvalue()


class Harmless:
    """A stream for CSV that makes each field harmless; what is written at once are whole rows."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(harmless_rows(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
