"""What adaptation to a voice gains on corpora that the recognizer has never met, over the amount of material.

    python benchmarks/adaptation.py RUN [--model default] [--draws 2] [--seed 0] [--json FILE]

RUN is the run under leave-one-corpus-out from which the recognizer was exported: each corpus is answered by the model
of the fold that has not met it, and adapted to by the recognizer's rule and statistics
(`serkit.recognition.adaptation`). UAR is that of the answers restricted to the labels of the tested corpus.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from serkit.errors import UserError
from serkit.evaluation.metrics import uar
from serkit.recognition.bundle import Bundle, find
from serkit.runs.folder import RunFolder
from serkit.runs.strangers import Stranger
from serkit.runs.tested import Tested

#: Chooses recordings of a speaker as material, from their labels.
Material = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def some(count: int) -> Material:
    return lambda truth, random: random.choice(len(truth), min(count, len(truth) - 1), replace=False)


def one_emotion(count: int) -> Material:
    def choose(truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
        rows = np.flatnonzero(truth == random.choice(np.unique(truth)))
        return random.choice(rows, min(count, len(rows)), replace=False)

    return choose


def everything(truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.arange(len(truth))


#: Material by name, and whether the material itself is tested; otherwise the speaker's other recordings are.
MATERIALS: dict[str, tuple[Material, bool]] = {
    **{f"{count} enrolled": (some(count), False) for count in (1, 3, 10)},
    "all of the speaker": (everything, True),
    **{f"{count} enrolled, one emotion": (one_emotion(count), False) for count in (3, 10)},
    **{f"only {count}, one emotion": (one_emotion(count), True) for count in (2, 3, 5, 10)},
}


def gain(
    strangers: list[tuple[Stranger, np.ndarray]], material: Material, itself: bool, seed: int
) -> tuple[float, float, float]:
    """Return UAR without and with adaptation to some recordings of each speaker, and their mean duration in s."""
    random = np.random.default_rng(seed)
    known = np.unique(np.concatenate([truth for _, truth in strangers]))
    before, after, right, seconds = [], [], [], []
    for stranger, truth in strangers:
        chosen = material(truth, random)
        judged = chosen if itself else np.setdiff1d(np.arange(len(truth)), chosen)
        if not len(judged):
            continue
        before.append(stranger.plain[judged])
        after.append(stranger.adapted(chosen.tolist(), judged.tolist()))
        right.append(truth[judged])
        seconds.append(stranger.seconds[chosen].sum())
    found = [
        uar(np.concatenate(right), known[np.concatenate(answers)[:, known].argmax(axis=1)])
        for answers in (before, after)
    ]
    return found[0], found[1], float(np.mean(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="run under leave-one-corpus-out")
    parser.add_argument("--model", default="default", help="the recognizer exported from it")
    parser.add_argument("--draws", type=int, default=2, help="draws of the material")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bundle = Bundle.load(find(arguments.model))
    if bundle.adaptation is None or bundle.calibration is None:
        raise UserError(f"model '{arguments.model}' does not adapt to voices")
    run = RunFolder.load(arguments.run)
    truth = dict(zip(run.predictions.ids, run.predictions.truth, strict=True))
    found: dict[str, dict[str, list[float]]] = {name: {} for name in MATERIALS}
    for tested in Tested.folds(run):
        strangers = [
            (stranger, np.array([truth[name] for name in stranger.ids]))
            for stranger in Stranger.all(tested, bundle.calibration.temperature, bundle.adaptation)
        ]
        corpus = strangers[0][0].ids[0].partition("/")[0]
        for name, (material, itself) in MATERIALS.items():
            draws = [gain(strangers, material, itself, arguments.seed + draw) for draw in range(arguments.draws)]
            found[name][corpus] = np.mean(draws, axis=0).round(4).tolist()
    rows = {}
    for name, table in found.items():
        before, after, seconds = np.mean(list(table.values()), axis=0)
        worst = min(with_it - without for without, with_it, _ in table.values())
        print(
            f"{name}: {seconds:.0f} s, without {100 * before:.1f}, with {100 * after:.1f}, "
            f"worst corpus {100 * worst:+.1f}",
            flush=True,
        )
        rows[name] = {"seconds": seconds.round(1), "without": before, "with": after, "worst": worst, "corpora": table}
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
