"""Times in tables: seconds, or the formats of pandas, audformat, subtitles and ISO 8601."""

from __future__ import annotations

import math
import re

_UNITS = {"h": 3600.0, "min": 60.0, "m": 60.0, "s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_NUMBER = r"\d+(?:[.,]\d+)?"
_WITH_UNIT = re.compile(rf"([-+]?{_NUMBER}) ?({'|'.join(_UNITS)})")
# pandas writes -1.5 s as `-1 days +23:59:58.5`: the days are negative, the rest is positive.
_DAYS = re.compile(r"(-?\d+) days?,?(?: |$)")
_CLOCK = re.compile(rf"([-+]?)(?:(\d+):)?(\d+):({_NUMBER})")
_ISO = re.compile(
    rf"([-+]?)P(?=.)(?:(-?{_NUMBER})D)?(?:T(?=.)(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?", re.IGNORECASE
)


def seconds(text: str, unit: str = "s") -> float:
    """Read a time in s.

    Args:
        text: `1.5`; `0 days 00:00:01.5` (the format of pandas and audformat), `00:00:01.5`, `0:01,5`; `1.5 s`,
            `1500ms`; `PT1.5S`.
        unit: unit of a number without one, `s` or `ms`.

    Raises:
        ValueError: the text has none of these formats, or is not finite.

    >>> [seconds(text) for text in ("1.5", "0 days 00:00:01.500000", "1:01.5", "1500 ms", "PT1M1.5S")]
    [1.5, 1.5, 61.5, 1.5, 61.5]
    """
    if match := _WITH_UNIT.fullmatch(text):
        return _float(match[1]) * _UNITS[match[2]]
    if match := _ISO.fullmatch(text):
        sign, *parts = match.groups()
        return _signed(sign, _sum(parts, (86400, 3600, 60, 1)))
    days = _DAYS.match(text)
    rest = text[days.end() :] if days else text
    if days and not rest:
        return 86400.0 * int(days[1])
    if match := _CLOCK.fullmatch(rest):
        sign, *parts = match.groups()
        return (86400 * int(days[1]) if days else 0) + _signed(sign, _sum(parts, (3600, 60, 1)))
    # Python reads 1_2 as 12, but in a table it is a name.
    if days or "_" in text or not math.isfinite(value := float(text)):
        raise ValueError(f"'{text}' is not a time")
    return value * _UNITS[unit]


def _sum(parts: list[str | None], factors: tuple[int, ...]) -> float:
    return sum(factor * _float(part) for part, factor in zip(parts, factors, strict=True) if part)


def _signed(sign: str, value: float) -> float:
    return -value if sign == "-" else value


def _float(text: str) -> float:
    return float(text.replace(",", "."))
