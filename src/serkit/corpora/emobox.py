"""Lists of EmoBox: JSON lines with `key`, `wav`, `emo` and more, in one file, or in folders `fold_1`, `fold_2`, ...

Codes of emotions are translated with `label_map.json` in the same folder or the one above.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from serkit import sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading, named
from serkit.corpora.corpus import Corpus, Facts
from serkit.documents import read_json
from serkit.errors import UserError

FACTS = Facts(
    name="emobox",
    title="Lists of EmoBox",
    language=None,
    licence="the user's own",
    citation="Ma et al.: EmoBox: Multilingual Multi-corpus Speech Emotion Recognition Toolkit and Benchmark, 2024",
    url="https://github.com/emo-box/EmoBox",
)
LAYOUT = "It should be a list such as emodb.jsonl, or a folder with fold_1/NAME_train_fold_1.jsonl and so on."
_PART = re.compile(r".+_(train|valid|val|test)_fold_(\w+)\.jsonl")


def read(path: Path, reading: Reading) -> Corpus:
    """Read one list, or the lists of a folder; the lists of one fold give the parts.

    Raises:
        UserError: there is no list, or rows are bad; see `serkit.corpora.rows.corpus`.
    """
    folder = path if path.is_dir() else path.parent
    lists, caution = _lists(path)
    codes = _codes(folder)
    found = rows.upwards(folder)
    entries: dict[Any, dict[str, object]] = {}
    headers: dict[str, str] = {}
    for file, part in lists.items():
        table = named(sheets.read(file).sound(), reading.columns)
        headers |= table.headers
        for number, row in table.sheet.rows.items():
            place = number if len(lists) == 1 else f"{file.relative_to(folder).as_posix()} row {number}"
            entry: dict[str, object] = {**row, "path": found(row["path"]) if row.get("path") else ""}
            if "emotion" in row:
                entry["emotion"] = codes.get(row["emotion"], row["emotion"])
            entries[place] = {**entry, "part": part} if part else entry
    if caution:
        # Folds repeat the utterances of one another.
        by_content = {tuple(entry.items()): place for place, entry in reversed(entries.items())}
        kept = set(by_content.values())
        entries = {place: entry for place, entry in entries.items() if place in kept}
    corpus = rows.corpus(FACTS, rows.of_entries(path, folder, entries, FACTS.name, headers=headers), reading)
    return replace(corpus, cautions=(*caution, *corpus.cautions))


def _lists(path: Path) -> tuple[dict[Path, str], list[str]]:
    """Return the lists with their parts, and a caution if there are several folds, which give no parts."""
    if not path.is_dir():
        return {path: ""}, []
    files = sorted([*path.glob("*.jsonl"), *path.glob("fold_*/*.jsonl")])
    parts = {file: match for file in files if (match := _PART.fullmatch(file.name))}
    folds = sorted({match[2] for match in parts.values()})
    if len(folds) == 1:
        return {file: match[1] for file, match in parts.items()}, []
    if folds:
        example = sorted({file.parent for file in parts})[0]
        return dict.fromkeys(parts, ""), [
            f"has {len(folds)} folds, whose parts are not used; for those of one, give {example}"
        ]
    if not files:
        raise UserError(f"{path}: has no list of EmoBox. {LAYOUT}")
    return dict.fromkeys(files, ""), []


def _codes(folder: Path) -> dict[str, str]:
    for place in (folder, folder.absolute().parent):
        if (place / "label_map.json").is_file():
            codes = read_json(place / "label_map.json")
            if not isinstance(codes, dict):
                raise UserError(f"{place / 'label_map.json'}: is not a JSON object")
            return {str(code): str(label) for code, label in codes.items()}
    return {}
