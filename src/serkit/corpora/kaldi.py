"""Kaldi's data folders: `wav.scp`, `segments`, `utt2spk`, `spk2gender`, `utt2lang`, and labels per utterance.

Commands in `wav.scp` are never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serkit import sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading
from serkit.corpora.corpus import Corpus, Facts
from serkit.errors import UserError

FACTS = Facts(
    name="kaldi",
    title="A data folder of Kaldi",
    language=None,
    licence="the user's own",
    citation="",
    url="https://kaldi-asr.org/doc/data_prep.html",
)
LAYOUT = (
    "It should hold wav.scp, and a label per utterance in utt2emo; segments, utt2spk, spk2gender and utt2lang are read."
)

#: Names of the file of labels.
LABELS = ("utt2emo", "utt2emotion", "utt2label", "utt2class", "utt2cat", "emotion", "emotions", "label", "labels")
_ARCHIVE = re.compile(r".+\.ark(:\d+)?")


def read(folder: Path, reading: Reading) -> Corpus:
    """Read a data folder; paths may be relative to it or to a folder above it.

    Raises:
        UserError: `wav.scp` or the labels are missing, a file is malformed, or utterances are bad; see
            `serkit.corpora.rows.corpus`. A recording that is the output of a command is bad.
    """
    if not (folder / "wav.scp").is_file():
        raise UserError(f"{folder}: has no wav.scp. {LAYOUT}")
    labels, told = _labels(folder, reading)
    files = _table(folder / "wav.scp")
    speakers, languages = _table(folder / "utt2spk"), _table(folder / "utt2lang")
    genders = _table(folder / "spk2gender")
    found = rows.upwards(folder)
    entries: dict[Any, dict[str, object]] = {}
    faults: dict[Any, str] = {}
    for name, recording, start, end in _segments(folder, files):
        place, file = f"utterance {name}", files.get(recording)
        if file is None:
            faults[place] = f"its recording is not in wav.scp: {recording}"
        elif "|" in (file[-1], file[0]):
            faults[place] = f"its file is a command, which serkit never runs; write its output to a file: {file}"
        elif _ARCHIVE.fullmatch(file):
            faults[place] = f"its file is in an archive; write it to a file of its own: {file}"
        elif name not in labels:
            faults[place] = f"has no label in {told}"
        else:
            speaker = speakers.get(name)
            entries[place] = {
                "path": found(file),
                "id": name,
                "emotion": labels[name],
                "speaker": speaker,
                "sex": genders.get(speaker or ""),
                "language": languages.get(name),
                "start": start,
                "end": end,
            }
    return rows.corpus(FACTS, rows.of_entries(folder, folder, entries, FACTS.name, faults), reading)


def _labels(folder: Path, reading: Reading) -> tuple[dict[str, str], str]:
    """Return the label of each utterance, and the name of their file."""
    chosen = reading.columns.get("emotion")
    there = [name for name in ((chosen,) if chosen else LABELS) if (folder / name).is_file()]
    if not there:
        missing = f"no file '{chosen}'" if chosen else f"none of {', '.join(LABELS)}"
        raise UserError(f"{folder}: has {missing}, with a label per utterance; name it with --columns emotion=FILE")
    if len(there) > 1:
        raise UserError(f"{folder}: has {' and '.join(there)}; choose one with --columns emotion={there[0]}")
    return _table(folder / there[0]), there[0]


def _segments(folder: Path, files: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield utterance, recording, start and end."""
    segments = folder / "segments"
    if not segments.is_file():
        yield from ((name, name, "", "") for name in files)
        return
    for name, rest in _table(segments).items():
        if len(parts := rest.split()) != 3:
            raise UserError(f"{segments}: '{name}' must have a recording, a start and an end, got '{rest}'")
        recording, start, end = parts
        # Kaldi writes -1 for the end of the recording.
        yield name, recording, start, "" if end == "-1" else end


def _table(path: Path) -> dict[str, str]:
    """Return the rest of each line by its first word; empty if there is no such file."""
    if not path.is_file():
        return {}
    text, _ = sheets.decode(path, sheets.content(path))
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, *rest = line.split(maxsplit=1)
        if not rest:
            raise UserError(f"{path}, line {number}: '{name}' has no value")
        if name in found:
            raise UserError(f"{path}, line {number}: '{name}' is listed twice")
        found[name] = rest[0].strip()
    return found
