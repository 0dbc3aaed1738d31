"""A corpus from a data frame, a path or `name=folder`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serkit import corpora, sheets
from serkit.atomic import write_text
from serkit.corpora import READERS, Corpus, Reading
from serkit.corpora.columns import Unit, named, parse
from serkit.data.store import default_folder, digest
from serkit.errors import UserError
from serkit.text import clean

if TYPE_CHECKING:
    import pandas

#: A corpus, or what `corpus` makes one of.
Source = Any


def corpus(
    source: pandas.DataFrame | Corpus | str | Path,
    columns: Mapping[str, str] | None = None,
    times: Unit | None = None,
    on_error: str = "stop",
) -> Corpus:
    """Read labeled recordings.

    >>> corpora.synthetic.generate("speech", speakers=2, takes=1)            # doctest: +SKIP
    >>> serkit.corpus("synthetic=speech")                                    # doctest: +SKIP
    Corpus('synthetic', 8 utterances, 2 speakers, emotion: anger 2, happiness 2, neutral 2, sadness 2)
    >>> serkit.corpus(pandas.read_excel("calls.xlsx"), columns={"path": "Datei"})    # doctest: +SKIP

    Args:
        source: data frame with a row per recording; path of a table (CSV, Excel, Parquet, JSON lines) or of a folder
            with one folder per class; or `name=folder` as in `--corpus`, e.g. `emodb=data/emodb`. Columns of a data
            frame or table are those of `serkit.corpora.table`, e.g. `path`, `emotion`, `speaker`. Relative paths in a
            data frame start in the current folder.
        columns: serkit's name of a column -> its name in the data, e.g. `{"path": "Datei"}`.
        times: unit of times without one, `s` or `ms`.
        on_error: `stop`, or `skip` to leave out bad rows and list them.

    Returns:
        The corpus. A data frame is kept as a table in serkit's cache, so that runs can be reported and repeated.

    Raises:
        UserError: the corpus cannot be read.
    """
    if on_error not in ("stop", "skip"):
        raise UserError(f"on_error must be 'stop' or 'skip', got '{on_error}'")
    reading = Reading(_checked(columns or {}), times, on_error == "skip")
    if isinstance(source, Corpus):
        return source
    if hasattr(source, "to_csv"):
        return corpora.load("table", _kept(source, reading), reading)
    if not isinstance(source, (str, os.PathLike)):
        raise UserError(f"a corpus must be a data frame, a path or 'name=folder', got {type(source).__name__}")
    name, equals, folder = str(source).partition("=")
    if equals and clean(name) in READERS:
        return corpora.load(name, folder, reading)
    place = Path(source).expanduser()
    if not place.exists():
        kind = "and no corpus has this name" if equals else "give a path, or name=folder such as emodb=data/emodb"
        raise UserError(f"{source}: no such file or folder; {kind}")
    return corpora.load("folder" if place.is_dir() else "table", place, reading)


def all_of(sources: Source | Sequence[Source]) -> list[Corpus]:
    """Return the corpora of one source or of several."""
    several = sources if isinstance(sources, (list, tuple)) else [sources]
    return [corpus(source) for source in several]


def _checked(columns: Mapping[str, str]) -> dict[str, str]:
    return parse([f"{name}={column}" for name, column in columns.items()])


def _kept(frame: pandas.DataFrame, reading: Reading) -> Path:
    """Write a data frame as a table into the cache, with absolute paths, and return its path."""
    if any(name is not None for name in frame.index.names):  # as in audformat: file, start, end
        frame = frame.reset_index()
    text = frame.to_csv(index=False)
    sheet = sheets.Sheet(Path("the data frame"), [str(name) for name in frame.columns], {}, {}, ())
    header = named(sheet, reading.columns).headers.get("path")
    if header is not None:
        known = frame[header].notna()
        places = [os.path.abspath(os.path.expanduser(str(path))) for path in frame[header][known]]
        frame = frame.copy()
        frame.loc[known, header] = places
        text = frame.to_csv(index=False)
    place = default_folder() / "tables" / f"{digest(text)}.csv"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, text)
    return place
