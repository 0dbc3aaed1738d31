"""Reading of a run's folder. `serkit.runs.runner` describes its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit import corpora
from serkit.documents import read_json
from serkit.errors import UserError
from serkit.evaluation.scores import Scores
from serkit.evaluation.task import TASKS, Task
from serkit.protocols.splits import Split
from serkit.runs import sealed
from serkit.runs.files import Description, Final, FoldNote, StageNote, SystemRow
from serkit.training.history import Epoch, read_history


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A finished run.

    Args:
        path: the run's folder.
        description: content of `run.json`.
        scores: content of `scores.json`.
        splits: splits in the order of the folds.
        predictions: predictions of all folds, `NumberPredictions` if the run scores numbers.
        notes: content of `folds/NAME.json` by fold name.
        final: content of `final.json`; None: no final model was trained.
    """

    path: Path
    description: Description
    scores: Scores
    splits: Sequence[Split]
    predictions: Any
    notes: Mapping[str, FoldNote]
    final: Final | None

    @classmethod
    def load(cls, path: Path) -> RunFolder:
        """Read a run.

        Raises:
            UserError: the folder holds no run, an unfinished run, or a broken file.
        """
        description = read_description(path)
        if not description.system or not description.system[0].stages:
            raise UserError(f"{path / 'run.json'}: names no system with stages")
        parts = read_splits(path)
        notes = {part.name: note for part in parts if (note := read_note(path, part))}
        if not (path / "scores.json").exists():
            raise UserError(
                f"{path}: the run is unfinished ({len(notes)} of {len(parts)} folds are done); "
                "continue with `serkit train ... --resume`"
            )
        final, scores = path / "final.json", Scores.load(path / "scores.json")
        return cls(
            path,
            description,
            scores,
            parts,
            TASKS[scores.task].kind.load(path / "predictions.csv"),
            notes,
            sealed.read(final, Final) if final.exists() else None,
        )

    @property
    def numbers(self) -> bool:
        """Whether the run scores numbers instead of classes."""
        return bool(self.scores.targets)

    @property
    def task(self) -> type[Task[Any]]:
        """The scored task."""
        return TASKS[self.scores.task]

    def want_classes(self) -> None:
        """Raise UserError if the run scores numbers, for functions that require classes."""
        if self.numbers:
            raise UserError(f"{self.path}: scores numbers ({', '.join(self.scores.targets)}); classes are required")

    @property
    def baseline(self) -> Any:
        """Predictions of the baseline on the same folds; None: it was not trained."""
        tables = [self.path / "baseline" / "folds" / f"{part.name}.csv" for part in self.splits]
        if self.scores.baseline is None or not all(table.exists() for table in tables):
            return None
        return self.task.load(tables)

    @property
    def system(self) -> SystemRow:
        """The system, or the first row of a sweep's grid."""
        return self.description.system[0]

    @property
    def parameters(self) -> int | None:
        """Number of parameters of the shipped model; None if the run is older than cards."""
        card = self.path / "card.json"
        return int(read_json(card)["cost"]["parameters"]) if card.exists() else None

    def places(self, specifications: Sequence[str] = ()) -> dict[str, str]:
        """Return the folder of each corpus of the run: the folder of `name=folder` if given, otherwise the run's own.

        Raises:
            UserError: the run did not use a given corpus.
        """
        places = self.description.places
        for name, folder in map(corpora.split, specifications):
            if name not in places:
                raise UserError(f"--corpus {name}={folder}: {self.path} learned from {', '.join(places)} only")
            places[name] = folder
        return places

    def trained(self, stage: str) -> Iterator[tuple[str, StageNote, Sequence[Epoch]]]:
        """Yield fold, `stage.json` and history of a stage in each fold's chosen configuration, if they exist."""
        for fold, note in self.notes.items():
            name = {self.system.deployed: note.stage, **note.stages}.get(stage)
            if name and (self.stages / name / "stage.json").exists():
                yield fold, *self._read(name)

    def _read(self, name: str) -> tuple[StageNote, Sequence[Epoch]]:
        """Return `stage.json` and history of a trained stage, by its folder."""
        folder = self.stages / name
        return sealed.read(folder / "stage.json", StageNote), read_history(folder)

    @property
    def stages(self) -> Path:
        """Folder of trained stages. Runs may share a folder, which the final model's path and `run.json` name."""
        if self.final:
            return Path(self.path / self.final.stage).parent
        return self.path / self.description.stages

    @property
    def seconds(self) -> float:
        """Training time of the folds' stages in s, each stage once; in a sweep, only the chosen rows."""
        return round(sum(self.stage_seconds.values()), 2)

    @property
    def stage_seconds(self) -> dict[str, float]:
        """The same by name of the stage, summed over the folds."""
        names = {name for note in self.notes.values() for name in [note.stage, *note.stages.values()]}
        found: dict[str, float] = {}
        for name in sorted(names):
            if (self.stages / name / "stage.json").exists():
                stage, history = self._read(name)
                # An interrupted stage counts the time since it was resumed, but its history has every epoch.
                epochs = sum(epoch.get("seconds", 0.0) + epoch.get("validation_seconds", 0.0) for epoch in history)
                seconds = max(stage.seconds, epochs)
                found[stage.name] = round(found.get(stage.name, 0.0) + seconds, 2)
        return found


def want_folder(path: Path) -> None:
    """Raise UserError if the path that is to be a folder is a file."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; --out must be a folder")


def read_description(path: Path) -> Description:
    """Return the content of `run.json`.

    Raises:
        UserError: the folder does not exist or holds no run.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; give the folder of a run written by `serkit train --out`")
    if not (path / "run.json").exists():
        raise UserError(f"{path}: holds no run (run.json is missing); `serkit train --out` writes one")
    return Description.load(path / "run.json")


def read_note(path: Path, part: Split) -> FoldNote | None:
    """Return the note of a fold of a run; None: the fold is not finished."""
    note = path / "folds" / f"{part.name}.json"
    return sealed.read(note, FoldNote) if note.exists() else None


def read_splits(path: Path) -> list[Split]:
    """Return the splits of a run, finished or not.

    Raises:
        UserError: the splits are missing or broken.
    """
    if not (path / "splits.json").exists():
        raise UserError(f"{path}: the run stopped before its splits were written; train it again")
    found = read_json(path / "splits.json")
    try:
        return [
            Split(**{**part, **{key: tuple(part[key]) for key in ("train", "validation", "test")}}) for part in found
        ]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path / 'splits.json'}: is not a list of splits ({error})") from None
