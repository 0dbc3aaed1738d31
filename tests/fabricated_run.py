"""A finished run, written in a moment through serkit's own functions instead of being trained."""

import json
from itertools import product
from pathlib import Path

import numpy as np

from serkit import systems
from serkit.evaluation import Predictions
from serkit.evaluation.scores import scores
from serkit.flags import Flag
from serkit.protocols import STANDARD
from serkit.runs.card import Card

EPOCHS = 3


def write_run(
    folder: Path,
    classes=("anger", "joy", "sadness"),
    corpora=("emodb",),
    seeds=(0,),
    sets=(),
    sweep=(),
    flags=("sentences shared: all",),
    right=0.7,
    final=True,
    precision=("32-true",),
    **description,
) -> Path:
    """Write a run's folder and return it.

    There are 4 speakers of each corpus, each a fold of its own, with 3 utterances of the first class and 2 of
    each other. A share
    `right` of the predictions is right. `description` replaces keys of `run.json`.
    """
    predictions, parts = _predictions(classes, corpora, seeds, right), []
    for seed, speaker in product(seeds, sorted(set(predictions.speakers))):
        utterances = sorted(set(predictions.ids))
        test = [id for id in utterances if id.startswith(f"{speaker}-")]
        train = [id for id in utterances if id not in test]
        fold = 1 + sorted(set(predictions.speakers)).index(speaker)
        name = f"seed-{seed}-fold-{fold}"
        parts.append({"name": name, "train": train, "validation": [], "test": test, "fold": fold, "seed": seed})
    rows = [[f"{key}={value}" for value in values.split(",")] for key, _, values in (s.partition("=") for s in sweep)]
    grid = [systems.load("linear-baseline", [*sets, *row]).model_dump(mode="json") for row in product(*rows)]
    (folder / "folds").mkdir(parents=True)
    predictions.save(folder / "predictions.csv")
    _write(folder / "splits.json", parts)
    _write(folder / "run.json", {**_description(grid, classes, corpora, seeds), **description})
    for number, part in enumerate(parts):
        _write_stage(folder / "stages" / f"main-{number}", number, grid[0]["stages"][0])
        validation = [0.5 + 0.01 * row + 0.002 * number for row in range(len(grid))]
        note = {"stage": f"main-{number}", "uar": 0.5, "chosen": len(grid) - 1, "validation": validation}
        _write(folder / "folds" / f"{part['name']}.json", note)
    if final:
        _write(folder / "final.json", {"stage": "stages/main-0", "row": 0, "temperature": 1.25, "recordings": []})
    found = {
        "system": "linear-baseline",
        "protocol": "leave-one-speaker-out",
        "content": dict.fromkeys(corpora, "0" * 32),
        "folds": len(parts),
        "configurations": len(grid),
        "chosen_on": "validation part of each fold" if len(grid) > 1 else "nothing to choose",
        "precision": list(precision),
        **scores(predictions, [Flag.read(text) for text in flags]).to_dict(),
    }
    _write(folder / "scores.json", found)
    Card.of(folder).save(folder / "card.json")
    return folder


def _predictions(classes, corpora, seeds, right):
    generator = np.random.default_rng(0)
    rows = [
        (seed, fold, f"{corpus}/s{speaker}", f"{corpus}/s{speaker}-{label}{take}", label)
        for seed in seeds
        for fold, (corpus, speaker) in enumerate(product(corpora, range(4)), start=1)
        for label in range(len(classes))
        for take in range(2 if label else 3)
    ]
    truth = np.array([row[4] for row in rows])
    is_right = np.arange(len(rows)) < round(right * len(rows))
    answers = np.where(generator.permutation(is_right), truth, (truth + 1) % len(classes))
    probabilities = np.full((len(rows), len(classes)), 0.1)
    probabilities[np.arange(len(rows)), answers] = 1 - 0.1 * (len(classes) - 1)
    return Predictions(
        ids=tuple(row[3] for row in rows),
        speakers=tuple(row[2] for row in rows),
        truth=truth,
        probabilities=probabilities,
        classes=tuple(classes),
        folds=np.array([row[1] for row in rows]),
        seeds=np.array([row[0] for row in rows]),
    )


def _description(grid, classes, corpora, seeds):
    protocol = STANDARD["leave-one-speaker-out"].model_dump(mode="json")
    return {
        "system": grid,
        "protocol": {"name": "leave-one-speaker-out", **protocol, "repeats": len(seeds)},
        "content": dict.fromkeys(corpora, "0123456789abcdef" * 2),
        "splits": "fedcba9876543210" * 2,
        "classes": list(classes),
        "seed": seeds[0],
        "threads": 2,
        "folders": {name: f"/data/{name}" for name in corpora},
        "command": None,
        "created": "2026-11-20T10:00:00+00:00",
        "machine": {"system": "Linux-6", "processor": "x86_64", "cores": 2},
        "versions": {"serkit": "0.1.0", "torch": "2.13.0", "numpy": "2.4.6", "lightning-fabric": "2.6.6"},
    }


def _write_stage(folder, number, stage):
    folder.mkdir(parents=True)
    note = {"name": "main", "stage": stage, "parameters": 1407, "epochs": EPOCHS, "seconds": 2.0}
    _write(folder / "stage.json", note)
    records = [
        {"epoch": epoch, "training_loss": 1 / (1 + epoch) + 0.01 * number, "training_accuracy": 0.3 * epoch}
        for epoch in range(EPOCHS)
    ]
    (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def _write(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
