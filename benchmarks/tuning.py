"""Trials per minute of `serkit tune` with one worker and with two, one thread each.

    python benchmarks/tuning.py [--trials N] [--repetitions N] [--json FILE]

On a quiet machine with two cores or more. Uses EMO-DB where SERKIT_CORPORA names a folder with it, and made-up speech
elsewhere. What starting the processes takes is left out: counted is from the end of the first trial of each worker to
the end of the last one that all were busy with.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

from serkit import corpora
from serkit.corpora import synthetic
from serkit.tuning import search
from serkit.tuning.rounds import Recipe, Round
from serkit.tuning.trial import Task

#: A small network, so that a trial takes seconds: database and folders weigh more than in real searches.
SETS = (
    "stages.main.trainer.epochs=4",
    "stages.main.network.channels=[8, 16, 24]",
    "data.copies=[]",
    "stages.main.trainer.precision=32-true",
)
SPACE = {"stages.main.trainer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}


def trials_per_minute(task: Task, folder: Path, workers: int, trials: int) -> float:
    """Run a search and return its steady rate."""
    recipe = Recipe(SPACE, [Round(trials=trials)])
    found = search.run(search.Request(task, recipe, workers=workers), folder)
    ends = sorted(row.ended.timestamp() for row in found.rows if row.ended)
    # The first of each worker has waited for its start, the last may have had the machine to itself.
    begin, end = ends[workers - 1], ends[-workers]
    return 60 * (len(ends) - 2 * workers + 1) / (end - begin)


def main() -> None:
    """Measure in alternation and print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        real = Path(os.environ.get("SERKIT_CORPORA", "")) / "emodb"
        corpus = (
            corpora.load("emodb", real)
            if os.environ.get("SERKIT_CORPORA") and real.exists()
            else synthetic.generate(folder / "speech", speakers=8, sentences=4)
        )
        task = Task("compact-cnn", [corpus], SETS, folds=2, store=folder / "store", accelerator="cpu")
        trials_per_minute(task, folder / "warm", 1, 2)  # the features are computed here
        rates: dict[int, list[float]] = {1: [], 2: []}
        for repetition in range(arguments.repetitions):
            for workers, found in rates.items():
                out = folder / f"{workers}-{repetition}"
                found.append(trials_per_minute(task, out, workers, arguments.trials))
                print(f"{workers} workers: {found[-1]:.1f} trials per minute", file=sys.stderr)
    one, two = (statistics.median(found) for found in rates.values())
    result = {
        "one_worker_per_minute": one,
        "two_workers_per_minute": two,
        "ratio": two / one,
        "goal_above": 1.6,
        "repetitions": rates,
        "cores": os.cpu_count(),
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
