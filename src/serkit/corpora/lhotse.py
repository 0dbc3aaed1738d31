"""Manifests of lhotse: recordings and supervisions, or cuts, as JSON lines, packed with gzip or not.

The emotion is in the `custom` fields of a supervision, under `emotion`, `label` or a name that the user gives. Commands
of recordings are never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from serkit import sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading, meaning
from serkit.corpora.corpus import Corpus, Facts
from serkit.corpora.parts import part_in
from serkit.errors import UserError

FACTS = Facts(
    name="lhotse",
    title="Manifests of lhotse",
    language=None,
    licence="the user's own",
    citation="",
    url="https://lhotse.readthedocs.io",
)
LAYOUT = (
    "It should hold recordings.jsonl and supervisions.jsonl, or cuts.jsonl (or .jsonl.gz), or be a manifest of cuts."
)

# What a supervision may exceed its recording by, in s, and still be the whole recording.
_WHOLE = 1e-4


def read(path: Path, reading: Reading) -> Corpus:
    """Read the manifests of a folder, or one manifest of cuts; words such as `train` in their names give the parts.

    Raises:
        UserError: manifests are missing or malformed, or supervisions are bad; see `serkit.corpora.rows.corpus`.
    """
    folder = path if path.is_dir() else path.parent
    found = rows.upwards(folder)
    entries: dict[Any, dict[str, object]] = {}
    faults: dict[Any, str] = {}
    for part, recording, supervision in _supervised(path):
        place = f"supervision {supervision.get('id')}"
        try:
            entry = _entry(recording, supervision, reading.columns.get("emotion"))
        except ValueError as error:
            faults[place] = str(error)
            continue
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: {place} is not as lhotse writes it ({error!r})") from None
        entries[place] = {**entry, "path": found(str(entry["path"])), "part": part}
    return rows.corpus(FACTS, rows.of_entries(path, folder, entries, FACTS.name, faults), reading)


def _supervised(path: Path) -> Iterator[tuple[str | None, Mapping[str, Any] | None, dict[str, Any]]]:
    """Yield part, recording and supervision; starts of supervisions are in the recording."""
    manifests = sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]
    kinds = {kind: [file for file in manifests if kind in file.name] for kind in ("recordings", "supervisions", "cuts")}
    if not path.is_dir():
        kinds = {"cuts": [path]}
    if kinds.get("recordings") and kinds.get("supervisions"):
        recordings = {entry.get("id"): entry for file in kinds["recordings"] for entry in _objects(file)}
        for file in kinds["supervisions"]:
            for entry in _objects(file):
                yield _part(file), recordings.get(entry.get("recording_id")), entry
        return
    if not kinds["cuts"]:
        raise UserError(f"{path}: has no manifests of lhotse. {LAYOUT}")
    for file in kinds["cuts"]:
        for cut in _objects(file):
            yield from ((_part(file), cut.get("recording"), entry) for entry in _of_cut(file, cut))


def _of_cut(file: Path, cut: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "start" not in cut or "duration" not in cut:
        raise UserError(
            f"{file}: cut {cut.get('id')} is not part of one recording; serkit reads cuts of type MonoCut only"
        )
    whole = {"id": cut.get("id"), "start": 0, "duration": cut["duration"], "custom": cut.get("custom")}
    for supervision in cut.get("supervisions") or [whole]:
        yield {"channel": cut.get("channel"), **supervision, "start": cut["start"] + supervision["start"]}


def _entry(recording: Mapping[str, Any] | None, supervision: Mapping[str, Any], key: str | None) -> dict[str, object]:
    """Return the row of a supervision; raise ValueError if it is bad."""
    if recording is None:
        raise ValueError(f"its recording is not listed: {supervision.get('recording_id')}")
    if recording.get("transforms"):
        raise ValueError("its recording is transformed while it is read; save the transformed recording")
    channels = sorted(channel for source in recording["sources"] for channel in source["channels"])
    said = supervision.get("channel")
    wanted = channels if said is None else [said] if isinstance(said, int) else sorted(said)
    if wanted != channels and len(wanted) != 1:
        raise ValueError(f"has some of several channels; serkit reads one or all: {wanted}")
    source = next(source for source in recording["sources"] if wanted[0] in source["channels"])
    if source["type"] != "file":
        what = "a command, which serkit never runs" if source["type"] == "command" else f"of type {source['type']}"
        raise ValueError(f"its recording is {what}; write it to a file: {source['source']}")
    start, end = supervision["start"], supervision["start"] + supervision["duration"]
    whole = start == 0 and end >= recording["duration"] - _WHOLE
    return {
        "path": source["source"],
        "id": supervision["id"],
        "emotion": _label(supervision.get("custom") or {}, key),
        "speaker": supervision.get("speaker"),
        "sex": supervision.get("gender"),
        "language": supervision.get("language"),
        "start": "" if whole else f"{start:.9g}",
        "end": "" if whole else f"{end:.9g}",
        "channel": "" if wanted == channels else sorted(source["channels"]).index(wanted[0]),
    }


def _label(custom: Mapping[str, Any], key: str | None) -> object:
    names = [key] if key else [name for name in custom if meaning(name) == "emotion"]
    if not any(name in custom for name in names):
        raise ValueError(f"has no {key or 'emotion'} in its custom fields: {', '.join(custom) or 'none'}")
    return custom[names[0]] if "emotion" not in names else custom["emotion"]


def _part(file: Path) -> str | None:
    return part_in(re.split(r"[\W_]+", file.name))


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    text, _ = sheets.decode(file, sheets.content(file))
    return (entry for _, entry in sheets.json_objects(file, text))
