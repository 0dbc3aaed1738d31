"""The only writer of TOML. `serkit.documents` reads it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def write_value(value: Any) -> str:
    """Return a value as TOML on one line, with tables inline.

    TOML has no null, so an entry of a table that is None is left out and keeps its default.

    >>> write_value({"name": "cnn", "channels": [8, 16], "bias": True, "rate": None})
    '{ name = "cnn", channels = [8, 16], bias = true }'

    Raises:
        TypeError: the value is None outside a table, or has no TOML form.
    """
    if isinstance(value, Mapping):
        entries = write_entries(value)
        return f"{{ {', '.join(entries)} }}" if entries else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(write_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # TOML also writes inf, -inf and nan
    if isinstance(value, (str, bool, int, float)):
        # JSON strings are valid TOML, except for the one control character that JSON does not escape.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"TOML cannot hold {value!r}")


def write_entries(table: Mapping[str, Any]) -> list[str]:
    """Return `key = value` for each entry of a table that is not None."""
    return [f"{write_key(key)} = {write_value(value)}" for key, value in table.items() if value is not None]


def write_key(key: str) -> str:
    """Return a key, quoted if necessary.

    >>> write_key("size"), write_key("a b")
    ('size', '"a b"')
    """
    plain = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain else write_value(key)
