"""How figures and table rows are written for people: percentages, intervals, Markdown rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol


def percent(value: float | None, sign: str = "") -> str:
    """Write a share in percent, without the sign `%`; no value is an empty text.

    >>> percent(0.8182), percent(-0.02, "+"), percent(None)
    ('81.8', '-2.0', '')
    """
    return "" if value is None else f"{100 * value:{sign}.1f}"


class Estimated(Protocol):
    """A value with its confidence interval."""

    @property
    def estimate(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def with_interval(value: Estimated, sign: str = "") -> str:
    """Write a share with its confidence interval, in percent: `50.0 [42.5, 60.0]`.

    Args:
        value: the share, 0 to 1.
        sign: `+` writes the sign of positive values too.
    """
    return f"{percent(value.estimate, sign)} [{percent(value.low, sign)}, {percent(value.high, sign)}]"


def markdown_row(cells: Iterable[str]) -> str:
    """Write a row of a Markdown table.

    >>> markdown_row(["a|b", "c"])
    '| a\\\\|b | c |'
    """
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], words: Iterable[str] = ()) -> list[str]:
    """Write a Markdown table: its lines.

    Args:
        head: names of the columns.
        rows: cells by column.
        words: names of the columns that hold words, which are aligned left; the others hold figures.
    """
    left = set(words)
    rules = [":--" if name in left else "--:" for name in head]
    return [markdown_row(row) for row in (head, rules, *rows)]


def clock(seconds: float) -> str:
    """Return a time for people: `1:02:03.45`, `2:03.45`; a time that no clock shows is the number itself."""
    if not 0 <= seconds < math.inf:  # of a given segment
        return f"{seconds:g}"
    minutes, rest = divmod(round(100 * seconds), 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest / 100:05.2f}" if hours else f"{minutes}:{rest / 100:05.2f}"


def duration(seconds: float) -> str:
    """Format a duration for readers.

    >>> duration(48.2), duration(600), duration(20000)
    ('48 s', '10 min', '5.6 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def multiply_adds(number: float) -> str:
    """Format a number of multiply-adds with a sensible unit.

    >>> multiply_adds(1407), multiply_adds(7_230_000), multiply_adds(1.4e9)
    ('1.41 k', '7.23 M', '1.40 G')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * size:
            value = number / size
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return f"{number:.0f}"
