"""What estimating the statistics of batch normalization again changes, after few and after many epochs.

    python benchmarks/refit_normalization.py independent-channels emodb=FOLDER --stage acln --epochs 4 8 12
                                             [--target quadrant] [--set KEY=VALUE] [--json FILE]

Trains a stage on four fifths of the utterances, drawn at random. After each of the given epochs, a copy of the network
is scored in evaluation mode, with the moving averages of its training and with statistics estimated again over the
training items: accuracy on the training items and on the others.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from overfit import accuracy, prepared

from serkit import corpora
from serkit.protocols import Protocol
from serkit.protocols.splits import Split, splits
from serkit.runs.request import Request
from serkit.runs.stages import Stages
from serkit.training import loop, normalization


def watch(stage: str, epochs: set[int]) -> list[dict[str, Any]]:
    """Let the training loop measure one stage after the given epochs; the records are appended to the result."""
    found: list[dict[str, Any]] = []
    train_epoch = loop._Loop.train_epoch

    def watched(self: Any) -> None:
        train_epoch(self)
        epoch = self.progress.epoch
        if epoch in epochs and self.folder.name.startswith(f"{stage}-"):
            found.append(measure(self, epoch))
            print(json.dumps(found[-1]), flush=True)

    loop._Loop.train_epoch = watched  # type: ignore[method-assign]
    return found


def measure(running: Any, epoch: int) -> dict[str, Any]:
    """Score a network in training with both kinds of statistics."""
    size, data = running.trainer.batch_size, running.data
    record = {"epoch": epoch, "training_mode": round(running.progress.history[-1]["training_accuracy"], 3)}
    model = copy.deepcopy(running.model)
    if running.average:
        running.average.apply(model)
    for kind in ("moving_averages", "estimated_again"):
        if kind == "estimated_again":
            order = loop.order(running.training, size, running.seed, epoch)
            normalization.refit(model, (data.batch(positions) for positions in order))
        parts = {"training": running.training, "others": running.validation}
        record[kind] = {name: round(accuracy(model, data, part, size), 3) for name, part in parts.items()}
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("corpus", help="NAME=FOLDER")
    parser.add_argument("--stage", help="default: the deployed one")
    parser.add_argument("--target", default="emotion")
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default=[], action="append")
    parser.add_argument("--json", type=Path, help="a row is appended to this file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sets = [f"data.target={asked.target}", *asked.set]
    system = prepared(asked.system, sets, asked.stage, before=max(asked.epochs))
    last = system.stages[-1]
    trainer = last.trainer.model_copy(update={"epochs": max(asked.epochs)})
    system = system.model_copy(update={"stages": [*system.stages[:-1], last.model_copy(update={"trainer": trainer})]})
    name, folder = asked.corpus.split("=", 1)
    experiment = Request(system, [corpora.load(name, folder)]).prepare(system)
    protocol = Protocol(kind="random", test=0.2)
    part = splits(protocol, experiment.scored, experiment.target, asked.seed)[0]
    found = watch(last.name, set(asked.epochs))
    with tempfile.TemporaryDirectory() as place:
        split = Split(part.name, part.train, part.test, (), seed=part.seed)
        Stages(experiment, split, Path(place), asked.seed, accelerator="cpu").train()
    row = {"system": asked.system, "stage": last.name, "corpus": name, "set": sets, "epochs": found}
    row |= {"batch_size": trainer.batch_size, "items": len(part.train)}
    if asked.json:
        with asked.json.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
