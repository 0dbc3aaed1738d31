"""How often a 95 % interval holds the truth: serkit's method beside the percentile bootstrap over speakers.

    python benchmarks/interval_coverage.py [--repetitions 1000] [--json FILE]

Simulated recognisers whose accuracy differs from speaker to speaker, four classes of unequal share and ease; the
truth is the score over all speakers there could be (Gauss-Hermite quadrature).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from serkit.evaluation import Predictions, metrics
from serkit.evaluation.intervals import interval

SHARES = np.array([0.5, 0.25, 0.15, 0.1])
CONFUSED = np.array([[0, 0.6, 0.2, 0.2], [0.2, 0, 0.6, 0.2], [0.2, 0.2, 0, 0.6], [0.6, 0.2, 0.2, 0]])
UTTERANCES = 40

#: Mean log odds of each class, and the standard deviation of the speakers' log odds.
CASES = {
    "UAR about 0.65, speakers differ": (np.array([1.4, 0.8, 0.4, 0.0]), 0.7),
    "UAR about 0.65, speakers alike": (np.array([1.4, 0.8, 0.4, 0.0]), 0.0),
    "UAR about 0.95, speakers differ": (np.array([3.5, 3.2, 3.0, 2.8]), 0.7),
}


def logistic(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def truth(ease: np.ndarray, spread: float) -> float:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    recalls = logistic(ease[:, None] + spread * nodes) @ weights / weights.sum()
    return float(recalls.mean())


def sample(generator: np.random.Generator, speakers: int, ease: np.ndarray, spread: float) -> Predictions:
    of = np.repeat(np.arange(speakers), UTTERANCES)
    labels = generator.choice(4, len(of), p=SHARES)
    right = generator.random(len(of)) < logistic(ease[labels] + generator.normal(0, spread, speakers)[of])
    wrong = (generator.random(len(of))[:, None] > CONFUSED.cumsum(axis=1)[labels]).sum(axis=1).clip(max=3)
    return Predictions(
        ids=tuple(f"x/{number}" for number in range(len(of))),
        speakers=tuple(f"x/{number}" for number in of),
        truth=labels,
        probabilities=np.eye(4)[np.where(right, labels, wrong)],
        classes=tuple("abcd"),
        folds=np.ones(len(of), dtype=int),
        seeds=np.zeros(len(of), dtype=int),
    )


def bootstrap(generator: np.random.Generator, predictions: Predictions, draws: int = 500) -> tuple[float, float]:
    """Percentile interval of the UAR over speakers drawn with replacement."""
    names = np.array(predictions.speakers)
    each = np.stack(
        [
            metrics.confusion(predictions.truth[names == name], predictions.predicted[names == name], 4)
            for name in dict.fromkeys(predictions.speakers)
        ]
    )
    drawn = generator.integers(len(each), size=(draws, len(each)))
    values = metrics.score("uar", each[drawn].sum(axis=1))
    return float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    found = []
    for case, (ease, spread) in CASES.items():
        expected = truth(ease, spread)
        for speakers in (4, 10, 24):
            generator = np.random.default_rng(speakers)
            held = np.zeros(2)
            for _ in range(arguments.repetitions):
                predictions = sample(generator, speakers, ease, spread)
                ours = interval(predictions, "uar")
                low, high = bootstrap(generator, predictions)
                held += [ours.low <= expected <= ours.high, low <= expected <= high]
            ours_share, bootstrap_share = held / arguments.repetitions
            found.append(
                {"case": case, "speakers": speakers, "serkit": ours_share, "percentile bootstrap": bootstrap_share}
            )
            print(f"{case}, {speakers} speakers: serkit {ours_share:.1%}, bootstrap {bootstrap_share:.1%}", flush=True)
    if arguments.json:
        result = {"repetitions": arguments.repetitions, "metric": "uar", "level": 0.95, "cases": found}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
