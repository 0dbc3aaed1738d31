"""The history of a training: one record per finished epoch, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from serkit.atomic import write_text
from serkit.documents import read_json_lines

#: Number of the `epoch`, losses and metrics (`training_loss`, `validation_uar`, ...), `learning_rate`, `seconds` of its
#: steps and `validation_seconds`.
Epoch = dict[str, float]

_NAME = "history.jsonl"


def read_history(folder: Path) -> list[Epoch]:
    """Return the history in a stage's folder; empty if it is missing. Errors are those of `read_json_lines`."""
    return read_json_lines(folder / _NAME) if (folder / _NAME).exists() else []


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write the history completely or not at all."""
    write_text(folder / _NAME, "".join(json.dumps(record) + "\n" for record in history))
