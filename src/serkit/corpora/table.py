"""A user's own recordings, listed in a table: delimited text, a spreadsheet, Parquet or JSON lines.

Names, labels and columns are cleaned (see `serkit.text`); blank rows are skipped.

| column | meaning |
| --- | --- |
| path | sound file, relative to the table's folder; also with backslashes |
| emotion | label, in any spelling of `serkit.emotions` |
| id | name of the row; default: the path without its suffix |
| speaker, sentence, sex, language, session | as in `Utterance`; session is an attribute |
| part | train, validation, test or unused, for the protocol `given`; an attribute |
| start, end | interval of the file, in s or as `0 days 00:00:01.5` (see `serkit.corpora.durations`) |
| duration, offset | with a start: the interval's duration instead of its end; `offset` is a start without one |
| channel | channel of the speech, counted from 0; default: mean of all channels |
| egg, egg_channel | file of the electroglottograph (default: the same) and its channel (default 0) |
| egg_start | time in that file at which the speech begins, in the same formats; default 0 |
| corpus | prefix of id, speaker and sentence; default: table |
| any other | further target: numbers if all values are numbers, otherwise text; empty if unknown |

Columns may have their usual other names (`serkit.corpora.columns`), in any case. Empty cells and the words that
programs write for them (`NA`, `nan`, ...) are missing values: such a row has no speaker, no start, or no value of a
further target. In a column of labels, a word such as `none` is a class.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serkit import sheets
from serkit.corpora import rows
from serkit.corpora.columns import Reading, named
from serkit.corpora.corpus import Corpus, Facts
from serkit.errors import UserError

FACTS = Facts(
    name="table",
    title="A table of recordings",
    language=None,
    licence="the user's own",
    citation="",
    url="",
)
LAYOUT = "It should be a CSV, Excel, Parquet or JSON lines file with columns path and emotion, and a row per recording."

# Columns of `serkit predict`.
_ANSWERED = frozenset({"label", "sure", "confidence"})


def read(path: Path, reading: Reading) -> Corpus:
    """Read a table; the module docstring lists its columns.

    Raises:
        UserError: the file is not a table, or has bad rows; see `serkit.sheets.read` and `serkit.corpora.rows.corpus`.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a table; for a folder per class, use folder={path}")
    sheet = sheets.read(path)
    corpus = rows.corpus(FACTS, rows.of_sheet(named(sheet, reading.columns)), reading)
    if set(sheet.columns) >= _ANSWERED:
        return replace(corpus, cautions=(*corpus.cautions, "its labels are answers of a recognizer, not of people"))
    return corpus
