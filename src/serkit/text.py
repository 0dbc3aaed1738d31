"""Text written by people: one spelling for text that looks the same, and the words for missing values.

Labels, names and table cells are cleaned once, when they are read. File names stay as they are on disk.
"""

from __future__ import annotations

import re
import unicodedata

# Invisible: soft hyphen, direction marks, joiners, byte order mark, variation selectors of emoji.
_INVISIBLE = dict.fromkeys(
    [
        0x00AD,
        0x034F,
        0x061C,
        0x180E,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        0xFE0E,
        0xFE0F,
        0xFEFF,
    ]
)

# Words that programs write for a missing value. Case matters: `null` is German for zero.
_NOT_A_LABEL = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-NaN", "-nan", "NaT", "NULL"}
)
# In lower case, with the words that people write as well.
_MISSING = frozenset({*map(str.lower, _NOT_A_LABEL), "none", "n.a.", "-", "--", "–", "—", "?", "."})


# What `encodable` writes for a byte of a file's name that is not UTF-8.
_ESCAPE = re.compile(r"\\udc([89a-f][0-9a-f])")


def encodable(text: str) -> str:
    """Return a text with escapes for what UTF-8 cannot encode: bytes of a file's name that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def unescaped(text: str) -> str:
    """Return a text as it was before `encodable`."""
    return _ESCAPE.sub(lambda found: chr(0xDC00 + int(found[1], 16)), text)


def composed(text: str) -> str:
    """Return a text in Unicode form NFC, which joins an accent and its letter."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def clean(text: str) -> str:
    """Return a text in one spelling: NFC, without invisible characters, outer blanks or runs of blanks.

    No-break spaces, tabs and line breaks count as blanks.

    >>> clean("  very\\u00a0 happy\\u200b ")
    'very happy'
    """
    if not text.isascii():
        text = composed(text.translate(_INVISIBLE))
    return " ".join(text.split())


def is_missing(text: str) -> bool:
    """Return whether a name or a number is missing: empty, `NA`, `nan`, `None`, `null`, `-`, ... in any case.

    >>> is_missing("NaN"), is_missing(" "), is_missing("Nancy")
    (True, True, False)
    """
    return clean(text).lower() in _MISSING


def is_missing_label(text: str) -> bool:
    """Return whether a label is missing: empty, `NA`, `NaN`, ..., but not a word such as `none`, which may be a class.

    >>> is_missing_label("nan"), is_missing_label("none")
    (True, False)
    """
    return clean(text) in _NOT_A_LABEL
