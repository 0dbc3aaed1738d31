"""Can a network learn a few real recordings by heart, with the optimizer of its paper?

    python benchmarks/overfit.py egg-student tava=FOLDER [--target quadrant] [--stage student] [--items 32]
                                 [--steps 300] [--set KEY=VALUE] [--json FILE]

The stage is prepared as in a run; its batches, loss, optimizer and learning rate are those of the system. There is
neither schedule nor stopping rule. Stages before it are trained for `--before` epochs. Every `--every` steps, the
accuracy on the items is measured in evaluation mode, once with the batch-normalization statistics of the training and
once with statistics estimated again (`trainer.refit_normalization`). The training ends when all items are right.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from serkit import corpora, methods, systems
from serkit.methods.method import Method
from serkit.networks.network import Model
from serkit.protocols.splits import Split
from serkit.runs import stages as runs
from serkit.runs.request import Request
from serkit.systems.schema import System, Trainer
from serkit.training import loop, normalization
from serkit.training.batches import ItemData
from serkit.training.checkpoint import Progress


def prepared(name: str, sets: Sequence[str], stage: str | None, before: int) -> System:
    """Return a system that ends with a stage, whose earlier stages are trained for a few epochs."""
    system = systems.load(name, sets)
    wanted = stage or system.deployed.name
    needed, chosen = {wanted}, []
    for each in reversed(system.stages):
        if each.name not in needed:
            continue
        needed |= {each.start_from or "", *methods.earlier(each.method.name, each.method.options)}
        needed |= {system.views[view].stage or "" for view in each.inputs}
        changes: dict[str, Any] = {"stopping": None, "select": "last", "schedule": Trainer().schedule}
        if each.name != wanted:
            changes["epochs"] = before
        data = {key: value for key, value in each.data.items() if key != "validation"}
        chosen.append(each.model_copy(update={"trainer": each.trainer.model_copy(update=changes), "data": data}))
    about = system.system.model_copy(update={"deploy": wanted})
    return system.model_copy(update={"system": about, "stages": chosen[::-1]})


class Heart:
    """Replaces the training loop for one stage: trains until every item is right, and keeps the curve."""

    def __init__(self, stage: str, steps: int, every: int) -> None:
        self.stage, self.steps, self.every = stage, steps, every
        self.curve: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.usual = loop.fit

    def fit(
        self,
        model: Model,
        method: Method,
        data: ItemData,
        training: Sequence[int],
        validation: Sequence[int],
        trainer: Trainer,
        folder: Path,
        seed: int,
        *rest: Any,
        **more: Any,
    ) -> Progress:
        if not folder.name.startswith(f"{self.stage}-"):
            return self.usual(model, method, data, training, validation, trainer, folder, seed, *rest, **more)
        began = time.monotonic()
        optimizer = loop.make_optimizer(model, trainer, trainer.precision)
        bfloat16 = trainer.precision == "bf16-mixed"
        right: list[torch.Tensor] = []
        steps = (
            (epoch, batch)
            for epoch in itertools.count()
            for batch in loop.order(training, trainer.batch_size, seed, epoch)
        )
        for step, (epoch, positions) in enumerate(steps, start=1):
            loop.seed_step(seed, epoch, step)
            model.train()
            batch = data.batch(positions)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                output = method.forward(model, batch)
                loss = torch.stack(list(method.loss(output, batch).values())).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += [_right(output, batch)]
            if step % self.every == 0 or step == self.steps:
                self._measure(step, loss.item(), right, model, data, training, trainer, seed)
                if step == self.steps or min(self.curve[-1][key] for key in ("evaluation", "refitted")) == 1:
                    break
        self.seconds = time.monotonic() - began
        return Progress(epoch=epoch)

    def _measure(
        self,
        step: int,
        loss: float,
        right: list[torch.Tensor],
        model: Model,
        data: ItemData,
        training: Sequence[int],
        trainer: Trainer,
        seed: int,
    ) -> None:
        recent = torch.cat(right)[-len(training) :]
        size = trainer.batch_size
        record = {
            "step": step,
            "loss": round(loss, 4),
            "training": round(float(recent.float().mean()), 4),
            "evaluation": accuracy(model, data, training, size),
        }
        record["refitted"] = record["evaluation"]
        if normalization.layers(model):
            refitted = copy.deepcopy(model)
            batches = loop.order(training, size, seed, step)
            normalization.refit(refitted, (data.batch(positions) for positions in batches))
            record["refitted"] = accuracy(refitted, data, training, size)
        self.curve.append(record)
        print(json.dumps(record), file=sys.stderr, flush=True)


def _right(output: Any, batch: Any) -> torch.Tensor:
    target = next(iter(output.predictions))
    return (output.predictions[target].detach().argmax(1) == batch.targets[target]).cpu()


def accuracy(model: Model, data: ItemData, positions: Sequence[int], size: int) -> float:
    """Return the share of items that a model gets right in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        found = [_right(model(batch), batch) for batch in data.batches(positions, size)]
    return round(float(torch.cat(found).float().mean()), 4)


def first(curve: Sequence[dict[str, Any]], key: str) -> int | None:
    """Return the first measured step at which every item is right; None: never."""
    return next((record["step"] for record in curve if record[key] == 1), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system")
    parser.add_argument("corpus", help="NAME=FOLDER")
    parser.add_argument("--also", default=[], action="append", help="corpora for earlier stages")
    parser.add_argument("--stage", help="default: the deployed one")
    parser.add_argument("--target", default="emotion")
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--before", type=int, default=1, help="epochs of earlier stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", default=[], action="append")
    parser.add_argument("--json", type=Path, help="a row is appended to this file")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    system = prepared(asked.system, [f"data.target={asked.target}", *asked.set], asked.stage, asked.before)
    system = system.model_copy(update={"data": system.data.model_copy(update={"copies": [], "target": [asked.target]})})
    given, *also = (corpora.load(*pair.split("=", 1)) for pair in (asked.corpus, *asked.also))
    experiment = Request(system, [given], also=also).prepare(system)
    chosen = choose(experiment.scored, experiment.target, asked.items, asked.seed)
    others = sorted({u.id for u in experiment.scored} - set(chosen))
    split = Split("overfit", tuple(chosen), (), tuple(others), seed=asked.seed)
    heart = Heart(system.deployed.name, asked.steps, asked.every)
    loop.fit = heart.fit  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        finished = runs.Stages(experiment, split, Path(folder), asked.seed, accelerator="cpu").train()
    trainer = finished.stage.trainer
    row = {
        "system": asked.system,
        "stage": finished.stage.name,
        "set": asked.set,
        "corpus": given.name,
        "items": len(chosen),
        "classes": len(experiment.labels),
        "parameters": sum(parameter.numel() for parameter in finished.model.parameters()),
        "optimizer": trainer.optimizer,
        "learning_rate": trainer.learning_rate,
        "batch_size": trainer.batch_size,
        "precision": trainer.precision,
        "seconds": round(heart.seconds, 1),
        "right_after": {key: first(heart.curve, key) for key in ("training", "evaluation", "refitted")},
        "last": heart.curve[-1],
        "curve": heart.curve,
    }
    print(json.dumps({key: value for key, value in row.items() if key != "curve"}))
    if asked.json:
        with asked.json.open("a") as file:
            file.write(json.dumps(row) + "\n")


def choose(utterances: Sequence[Any], target: str, count: int, seed: int) -> list[str]:
    """Return the ids of some utterances, drawn in turn from each class."""
    by_class: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda utterance: utterance.id):
        by_class.setdefault(str(utterance.targets[target]), []).append(utterance.id)
    generator = torch.Generator().manual_seed(seed)
    shuffled = []
    for _, ids in sorted(by_class.items()):
        shuffled.append([ids[place] for place in torch.randperm(len(ids), generator=generator).tolist()])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*shuffled))
    return [name for name in turns if name is not None][:count]


if __name__ == "__main__":
    main()
