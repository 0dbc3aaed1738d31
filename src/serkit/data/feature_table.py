"""Features as a table: a row per recording, or per frame for features over time.

A feature may define how it looks in a table: `columns`, the names of its values; `hop`, the samples from frame to
frame; `middle`, the sample in the middle of its first frame, counted from the start of its `interval` (default 0);
`in_tables`, the default options for tables.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TextIO

import numpy as np

from serkit import remote
from serkit.atomic import writing
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.data.store import Store
from serkit.errors import UserError
from serkit.features import Feature, interval
from serkit.progress import bar
from serkit.spreadsheet import Harmless
from serkit.text import encodable
from serkit.windowing import Windowing

#: Number of recordings whose features are in memory at once.
CHUNK = 64

#: Rows of an utterance: its file, times in s (None for a vector) and values (rows, columns).
Block = tuple[str, np.ndarray | None, np.ndarray]


def columns(feature: Feature) -> list[str]:
    """Return the names of a feature's values: its own `columns`, or its name and a number."""
    sizes = [length for length in feature.shape if length is not None]
    if len(sizes) != 1:
        raise UserError(
            f"feature '{feature.name}' has shape {feature.shape}; only vectors, alone or over time, fit a table"
        )
    own = getattr(feature, "columns", None)
    return list(own) if own else [f"{feature.name}_{index}" for index in range(sizes[0])]


def moments(feature: Feature, frames: int, start: float = 0.0) -> np.ndarray:
    """Return the time of each frame of a feature over time, in s; the feature's interval begins at `start`."""
    first, hop = (getattr(feature, name, 0) for name in ("middle", "hop"))
    return start + (first + hop * np.arange(frames)) / feature.rate


def write(
    feature: Feature,
    utterances: Sequence[Utterance],
    out: Path,
    channel: str | None = None,
    jobs: int = 1,
    store: Store | None = None,
    csv_safe: bool = False,
) -> dict[str, str]:
    """Compute a feature of each utterance and write the table, completely or not at all.

    Args:
        feature: the front end.
        utterances: the utterances to compute it for.
        out: `.csv`, `.parquet` or `.arff`. First column `file`: the path, or the id if the utterance is an interval;
            features over time have a column `time` in s.
        channel: name of an additional channel; None: the speech.
        jobs: number of threads.
        store: store for computed features; None: the default store.
        csv_safe: whether to put an apostrophe before names in CSV that a spreadsheet would run as a formula.

    Returns:
        Reason by id for the recordings that cannot be read.
    """
    failed: dict[str, str] = {}
    found = blocks(feature, utterances, channel, jobs, store or Store(), failed)
    write_blocks(out, feature.name, header(feature), found, csv_safe)
    return failed


def write_blocks(
    out: Path, relation: str, names: Sequence[str], found: Iterator[Block], csv_safe: bool = False
) -> None:
    """Write a table, completely or not at all.

    Args:
        out: `.csv`, `.parquet` or `.arff`.
        relation: name of the table in ARFF.
        names: names of the columns, as `header` returns them.
        found: the blocks of rows.
        csv_safe: as in `write`.

    Raises:
        UserError: another ending.
    """
    ending = ending_of(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out) as temporary:
        if ending == ".parquet":
            write_parquet(temporary, names, found)
        elif ending == ".arff":
            with open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                _write_arff(file, relation, names, found)
        else:
            with open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
                write_csv(csv.writer(Harmless(file) if csv_safe else file), names, found)


def ending_of(out: Path) -> str:
    """Return the ending of a table's file, in lower case; raise UserError if no table has it."""
    ending = out.suffix.lower()
    if ending not in (".csv", ".parquet", ".arff"):
        raise UserError(f"{out}: must end in .csv, .parquet or .arff")
    return ending


def print_table(
    feature: Feature,
    utterances: Sequence[Utterance],
    stream: TextIO,
    channel: str | None = None,
    jobs: int = 1,
    store: Store | None = None,
) -> dict[str, str]:
    """Write the table as CSV to a stream such as stdout; the table of a single utterance has no column `file`.

    The other arguments and the return value are those of `write`.
    """
    failed: dict[str, str] = {}
    found = blocks(feature, utterances, channel, jobs, store or Store(), failed)
    names = header(feature) if len(utterances) > 1 else header(feature)[1:]
    # The stream itself translates line ends for its system.
    write_csv(csv.writer(stream, lineterminator="\n"), names, found)
    return failed


def header(feature: Feature) -> list[str]:
    """Return the names of the columns of a feature's table: `file`, `time` for features over time, and its values."""
    return ["file", *(["time"] if None in feature.shape else []), *columns(feature)]


def blocks(
    feature: Feature,
    utterances: Iterable[Utterance],
    channel: str | None,
    jobs: int,
    store: Store,
    failed: dict[str, str],
) -> Iterator[Block]:
    """Yield the block of each readable utterance, in constant memory.

    `failed` receives the reason by id for the others. An utterance whose id is a URL is fetched from there.
    """
    axis = feature.shape.index(None) if None in feature.shape else None
    with bar(feature.name, len(utterances) if isinstance(utterances, Sequence) else 0) as advance:
        for listed in _batched(utterances):
            with _local(listed, failed) as chunk:
                yield from _of_chunk(feature, chunk, axis, channel, jobs, store, failed)
                for utterance in chunk:
                    if remote.is_url(utterance.id) and utterance.id in failed:
                        named = remote.name(utterance.id)
                        failed[utterance.id] = failed[utterance.id].replace(str(utterance.path), named)
            advance(len(listed))


def _of_chunk(
    feature: Feature,
    chunk: Sequence[Utterance],
    axis: int | None,
    channel: str | None,
    jobs: int,
    store: Store,
    failed: dict[str, str],
) -> Iterator[Block]:
    """Yield the blocks of utterances whose files are on this machine."""
    windowing = Windowing()
    paths = {u.id: u.channels[channel].path if channel and channel in u.channels else u.path for u in chunk}
    hashes, unreadable = store.hashes([*paths.values(), *[u.path for u in chunk]], jobs)
    failed |= {u.id: unreadable[path] for u in chunk if (path := paths[u.id]) in unreadable}
    good = [u for u in chunk if u.id not in failed]
    arrays = store.features(feature, [Item(u) for u in good], hashes, windowing, channel, jobs, failed)
    for position, utterance in enumerate(good):
        if utterance.id in failed:
            continue
        values = arrays[position]
        named = utterance.start or utterance.end or remote.is_url(utterance.id)
        name = remote.name(utterance.id) if named else str(utterance.path)
        if axis is None:
            yield name, None, values[None]
        else:
            rows = np.moveaxis(values, axis, 0)
            yield name, moments(feature, len(rows), _start(feature, utterance, channel)), rows


@contextmanager
def _local(listed: Sequence[Utterance], failed: dict[str, str]) -> Iterator[Sequence[Utterance]]:
    """Yield the utterances with local files: those with URLs are fetched while the block runs."""
    if not any(remote.is_url(utterance.id) for utterance in listed):
        yield listed
        return
    with TemporaryDirectory(prefix="serkit-") as folder:
        found = []
        for number, utterance in enumerate(listed):
            if remote.is_url(utterance.id):
                # The ending may tell the format.
                path = Path(folder) / f"{number}{Path(remote.redacted(utterance.id)).suffix}"
                try:
                    path.write_bytes(remote.fetch(utterance.id))
                except remote.RemoteError as error:
                    failed[utterance.id] = str(error)
                    continue
                utterance = replace(utterance, path=path)
            found.append(utterance)
        yield found


def _start(feature: Feature, utterance: Utterance, channel: str | None) -> float:
    """Return the start of a feature's interval in an utterance, in s."""
    if not hasattr(feature, "interval"):
        return 0.0
    return interval(feature, Item(utterance).signal(feature.rate, Windowing(), channel))[0]


def write_csv(writer: Any, names: Sequence[str], blocks: Iterator[Block]) -> None:
    """Write blocks with a writer of the module `csv`."""
    # The header is written with the first rows, so that nothing is written when there are none.
    first = list(islice(blocks, 1))
    writer.writerow(names)
    for name, times, values in chain(first, blocks):
        file = [name] if names[0] == "file" else []
        for row, vector in enumerate(values):
            time = [] if times is None else [f"{times[row]:.6g}"]
            writer.writerow([*file, *time, *[f"{value:.9g}" for value in vector]])


def write_parquet(
    path: Path, names: Sequence[str], blocks: Iterator[Block], about: Callable[[], Mapping[bytes, bytes]] = dict
) -> None:
    """Write blocks as Parquet; `about` returns metadata once all blocks are written."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError:
        raise UserError("Parquet requires the lab extra: pip install 'serkit[lab]', or write .csv") from None
    schema = parquet_schema(names)
    with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for chunk in _batched(blocks):
            files = [encodable(name) for name, _, values in chunk for _ in values]
            times = [] if chunk[0][1] is None else [np.concatenate([block[1] for block in chunk]).astype(np.float32)]
            values = np.concatenate([block[2] for block in chunk])
            writer.write_table(pa.table([files, *times, *np.ascontiguousarray(values.T)], schema=schema))
        writer.add_key_value_metadata(dict(about()))


def parquet_schema(names: Sequence[str]) -> Any:
    """Return the columns of a table in Parquet, as pyarrow's `Schema`."""
    import pyarrow as pa

    types = [pa.string(), *[pa.float32()] * (len(names) - 1)]
    return pa.schema(list(zip(names, types, strict=True)))


def _write_arff(file: TextIO, relation: str, names: Sequence[str], blocks: Iterator[Any]) -> None:
    """Write a table as Weka and openSMILE do: a line for each column, then the rows."""
    file.write(f"@relation {relation}\n\n")
    for name in names:
        kind = "string" if name == "file" else "numeric"
        file.write(f"@attribute {_quoted(name)} {kind}\n")
    file.write("\n@data\n")
    for name, times, values in blocks:
        for row, vector in enumerate(values):
            time = [] if times is None else [f"{times[row]:.6g}"]
            # A question mark is ARFF's missing value.
            numbers = [f"{value:.9g}" if np.isfinite(value) else "?" for value in vector]
            file.write(",".join([_quoted(name), *time, *numbers]) + "\n")


def _quoted(text: str) -> str:
    """Quote a name or text for ARFF, unless it consists of plain characters."""
    if text and all(letter.isascii() and (letter.isalnum() or letter in "_.-") for letter in text):
        return text
    escapes = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "%": "\\%"}
    return "'" + "".join(escapes.get(letter, letter) for letter in text) + "'"


def _batched(values: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(values)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
