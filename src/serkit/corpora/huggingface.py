"""Hugging Face's AudioFolder: `metadata.csv`, `.jsonl` or `.parquet` next to the recordings, or a folder per class.

Folders named after parts (`train`, `test`, ...) give the part of their recordings. With metadata, the column
`file_name` is relative to their file; without, the class is the folder that holds the recording.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from serkit import finding, sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading, named
from serkit.corpora.corpus import Corpus, Facts
from serkit.corpora.parts import part_in
from serkit.corpora.search import recordings

FACTS = Facts(
    name="huggingface",
    title="A folder of Hugging Face's AudioFolder",
    language=None,
    licence="the user's own",
    citation="",
    url="https://huggingface.co/docs/datasets/audio_dataset",
)
LAYOUT = (
    "It should hold recordings with metadata.csv or metadata.jsonl, or a folder per class such as train/angry/x.wav."
)


def read(folder: Path, reading: Reading) -> Corpus:
    """Read a folder.

    Raises:
        UserError: metadata are not a table, or rows are bad; see `serkit.corpora.rows.corpus`.
    """
    found = recordings(folder)
    metadata = [
        Path(name)
        for suffix in ("csv", "jsonl", "parquet")
        for name in finding.named(str(folder), f"metadata.{suffix}")
    ]
    if metadata:
        return rows.corpus(FACTS, _listed(folder, sorted(metadata), reading), reading)
    entries: dict[Any, dict[str, object]] = {}
    faults = {}
    for path in found:
        name = path.relative_to(folder).as_posix()
        above = path.relative_to(folder).parts[:-1]
        if not above or part_in(above[-1:]):
            faults[name] = "is in no folder of a class, and there is no metadata.csv"
        else:
            entries[name] = {"path": name, "emotion": above[-1], "part": part_in(above[:-1])}
    corpus = rows.corpus(FACTS, rows.of_entries(folder, folder, entries, FACTS.name, faults), reading)
    return replace(corpus, passed_over=found.passed_over)


def _listed(folder: Path, metadata: list[Path], reading: Reading) -> rows.Rows:
    """Return the rows of all metadata, with the part that their folders or those of the recordings name."""
    entries: dict[Any, dict[str, object]] = {}
    faults: dict[Any, str] = {}
    headers: dict[str, str] = {}
    for path in metadata:
        below = path.parent.relative_to(folder)
        found = named(sheets.read(path), reading.columns)
        prefix = f"{path.relative_to(folder).as_posix()} row " if len(metadata) > 1 else ""
        place = (lambda number, prefix=prefix: f"{prefix}{number}") if prefix else (lambda number: number)
        faults |= {place(number): reason for number, reason in found.sheet.faults.items()}
        headers |= found.headers
        for number, row in found.sheet.rows.items():
            name = row.get("path", "").replace("\\", "/")
            entry: dict[str, object] = {**row, "path": (below / name).as_posix() if name else ""}
            part = part_in((*below.parts, *Path(name).parts[:-1]))
            entries[place(number)] = entry if entry.get("part") or not part else {**entry, "part": part}
    return rows.of_entries(folder, folder, entries, FACTS.name, faults, headers)
