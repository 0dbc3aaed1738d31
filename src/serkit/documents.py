"""JSON and TOML from files and command lines, read within limits; every error is one line.

The parsers have no such limits: deeply nested lists end in a `RecursionError`, a number of thousands of digits in an
error without a position, and JSON silently drops one of two equal keys.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from serkit.errors import UserError

#: Maximum depth of nested lists and tables.
DEEPEST = 64

#: Maximum number of bits of a whole number.
BITS = 64


#: A table of TOML, or an object of JSON, before a schema checks it.
RawTable = dict[str, Any]


class Malformed(UserError):
    """Text that is not JSON, or not TOML."""


def parse_json(content: str | bytes, where: str | Path) -> Any:
    """Read a JSON document; bytes are UTF-8.

    Args:
        content: the document.
        where: start of the error message: a path, or a path and a line.

    Raises:
        Malformed: the content is not UTF-8 or not JSON.
        UserError: the content is nested too deeply, has a key twice, or a whole number of more than `BITS` bits.
    """
    try:
        return _within_bounds(json.loads(_text(content), object_pairs_hook=_without_doubles))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"{where}: not JSON ({error})") from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"{where}: JSON that serkit does not accept ({_in_words(error)})") from None


def parse_toml(content: str | bytes, where: str | Path) -> RawTable:
    """Read a TOML document. Arguments and errors are those of `parse_json`."""
    try:
        table: RawTable = _within_bounds(tomllib.loads(_text(content)))
        return table
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"{where}: not TOML ({error})") from None
    except (RecursionError, ValueError) as error:
        raise UserError(f"{where}: TOML that serkit does not accept ({_in_words(error)})") from None


def read_json(path: Path) -> Any:
    """Read a JSON file. Errors are those of `parse_json`."""
    return parse_json(path.read_bytes(), path)


def read_json_lines(path: Path) -> list[Any]:
    """Read a file with one JSON document per line. Errors are those of `parse_json`."""
    lines = enumerate(path.read_bytes().splitlines(), start=1)
    return [parse_json(line, f"{path}, line {number}") for number, line in lines]


def read_toml(path: Path) -> RawTable:
    """Read a TOML file. Errors are those of `parse_json`."""
    return parse_toml(path.read_bytes(), path)


def _text(content: str | bytes) -> str:
    # Some editors start UTF-8 files with a byte order mark.
    return content.decode("utf-8-sig") if isinstance(content, bytes) else content


class _Refused(ValueError):
    """The document has content that is not allowed; the message names it."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> RawTable:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in table if names.count(name) > 1)
        raise _Refused(f"key '{double}' appears twice")
    return table


def _within_bounds(document: Any) -> Any:
    # Level by level, not by recursion: dotted keys of TOML can nest deeper than Python's stack.
    level = [document]
    for _ in range(DEEPEST + 1):
        level = list(_inside(level))
        if not level:
            return document
    raise RecursionError


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        elif isinstance(value, int) and value.bit_length() > BITS:
            raise _Refused(f"a whole number of {value.bit_length()} bits; at most {BITS} are allowed")


def _in_words(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"lists and tables are nested more than {DEEPEST} deep"
    # The only other error of a parser is Python's own limit on the digits of a number.
    return str(error) if isinstance(error, _Refused) else f"a whole number of more than {BITS} bits"
