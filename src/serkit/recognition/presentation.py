"""Answers for people at a Python prompt or in a notebook: short lists, a table in HTML, a data frame."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit.atomic import writing
from serkit.errors import UserError

if TYPE_CHECKING:
    import pandas
    from PIL.Image import Image


def first_of(names: Sequence[str], most: int) -> str:
    """Join names; of many, the first.

    >>> first_of(["a", "b", "c"], 2)
    'a, b, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """Return a table in HTML; everything is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    told = f"<caption>{html.escape(caption)}</caption>"
    return f"<table>{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return rows as a data frame.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError("to_frame requires pandas: pip install 'serkit[lab]'") from None
    return pandas.DataFrame(list(rows), columns=list(columns))


def saved(image: Image, path: str | Path | None) -> Image:
    """Write a picture as PNG, if there is a path, completely or not at all; return the picture.

    Raises:
        UserError: the file cannot be written.
    """
    if path is not None:
        try:
            with writing(Path(path)) as temporary:
                image.save(temporary, "PNG", optimize=True)
        except OSError as error:
            raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None
    return image
