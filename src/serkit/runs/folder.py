"""Reading of a run's folder. `serkit.runs.runner` describes its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serkit import corpora
from serkit.documents import read_json, read_json_lines
from serkit.errors import UserError
from serkit.evaluation.scores import upgraded
from serkit.evaluation.task import TASKS, Task
from serkit.protocols.splits import Split


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A finished run.

    Args:
        path: the run's folder.
        description: content of `run.json`.
        scores: content of `scores.json`, in the shape of `serkit.evaluation.scores.scores`.
        splits: splits in the order of the folds.
        predictions: predictions of all folds, `NumberPredictions` if the run scores numbers.
        notes: content of `folds/NAME.json` by fold name.
        final: content of `final.json`; None: no final model was trained.
    """

    path: Path
    description: Mapping[str, Any]
    scores: Mapping[str, Any]
    splits: Sequence[Split]
    predictions: Any
    notes: Mapping[str, Mapping[str, Any]]
    final: Mapping[str, Any] | None

    @classmethod
    def load(cls, path: Path) -> RunFolder:
        """Read a run.

        Raises:
            UserError: the folder holds no run, an unfinished run, or a broken file.
        """
        description = read_description(path)
        parts = read_splits(path)
        notes = {
            part.name: read_json(note) for part in parts if (note := path / "folds" / f"{part.name}.json").exists()
        }
        if not (path / "scores.json").exists():
            raise UserError(
                f"{path}: the run is unfinished ({len(notes)} of {len(parts)} folds are done); "
                "continue with `serkit train ... --resume`"
            )
        final, scores = path / "final.json", upgraded(read_json(path / "scores.json"))
        return cls(
            path,
            description,
            scores,
            parts,
            TASKS[scores["task"]].kind.load(path / "predictions.csv"),
            notes,
            read_json(final) if final.exists() else None,
        )

    @property
    def numbers(self) -> bool:
        """Whether the run scores numbers instead of classes."""
        return bool(self.scores["targets"])

    @property
    def task(self) -> type[Task[Any]]:
        """The scored task."""
        return TASKS[self.scores["task"]]

    def want_classes(self) -> None:
        """Raise UserError if the run scores numbers, for functions that require classes."""
        if self.numbers:
            raise UserError(f"{self.path}: scores numbers ({', '.join(self.scores['targets'])}); classes are required")

    @property
    def system(self) -> Mapping[str, Any]:
        """The resolved system, or the first row of a sweep's grid."""
        result: Mapping[str, Any] = self.description["system"][0]
        return result

    @property
    def deployed(self) -> str:
        """Name of the scored stage."""
        text: str = self.system["system"]["deploy"] or self.system["stages"][-1]["name"]
        return text

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
        places = {**self.description["folders"], **self.description.get("also", {})}
        for name, folder in map(corpora.split, specifications):
            if name not in places:
                raise UserError(f"--corpus {name}={folder}: {self.path} learned from {', '.join(places)} only")
            places[name] = folder
        return places

    def trained(self, stage: str) -> Iterator[tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]]:
        """Yield fold, `stage.json` and history of a stage in each fold's chosen configuration, if they exist."""
        for fold, note in self.notes.items():
            name = {self.deployed: note["stage"], **note.get("stages", {})}.get(stage)
            if name and (self.stages / name / "stage.json").exists():
                yield fold, *self._read(name)

    def _read(self, name: str) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
        """Return `stage.json` and history of a trained stage, by its folder."""
        return read_json(self.stages / name / "stage.json"), read_json_lines(self.stages / name / "history.jsonl")

    @property
    def stages(self) -> Path:
        """Folder of trained stages. Runs may share a folder, which the final model's path and `run.json` name."""
        if self.final:
            return Path(self.path / self.final["stage"]).parent
        path: Path = self.path / self.description.get("stages", "stages")
        return path

    @property
    def seconds(self) -> float:
        """Training time of the folds' stages in s, each stage once; in a sweep, only the chosen rows."""
        names = {name for note in self.notes.values() for name in [note["stage"], *note.get("stages", {}).values()]}
        found = [self._read(name) for name in sorted(names) if (self.stages / name / "stage.json").exists()]
        # An interrupted stage counts the time since it was resumed, but its history has every epoch.
        number: float = round(
            sum(
                max(stage["seconds"], sum(record.get("seconds", 0.0) for record in history)) for stage, history in found
            ),
            2,
        )
        return number


def read_description(path: Path) -> Mapping[str, Any]:
    """Return the content of `run.json`.

    Raises:
        UserError: the folder does not exist or holds no run.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; give the folder of a run written by `serkit train --out`")
    if not (path / "run.json").exists():
        raise UserError(f"{path}: holds no run (run.json is missing); `serkit train --out` writes one")
    result: Mapping[str, Any] = read_json(path / "run.json")
    return result


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
