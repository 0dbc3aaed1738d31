"""Do a run's final model and its bundle say the same about every recording that the run learned from?

    python benchmarks/bundle_parity.py RUN BUNDLE

The run answers with torch, by features made as training makes them; the bundle through `serkit predict` on the sound
files, in a process in which neither torch nor scikit-learn can be imported. Prints how many labels agree, how far
probabilities are apart, and how fast the bundle was: seconds of sound per second of one core, from start to exit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from serkit import audio
from serkit.runs.folder import RunFolder
from serkit.runs.models import rebuild
from serkit.runs.tested import Tested

#: Modules that must not be needed, then the command line.
PREDICT = """\
import sys
sys.modules["torch"] = sys.modules["sklearn"] = None
from serkit.cli import main
main()
"""


def trained(folder: Path) -> tuple[Tested, float]:
    """Return the final model of a run, on what its first fold was tested on, and its temperature."""
    run, first = RunFolder.load(folder), Tested.load(folder)
    if run.final is None:
        raise SystemExit(f"{folder}: no final model; train without --no-final")
    finished = rebuild(folder / run.final.stage, first.experiment.system)
    return Tested(first.experiment, first.split, finished), run.final.temperature or 1.0


def by_torch(model: Tested, temperature: float) -> np.ndarray:
    """Return the run's probabilities of each utterance, the mean over its windows: (utterances, classes)."""
    found = []
    for utterance in model.experiment.scored:
        data = model.data(model.items([utterance.id]))
        with torch.inference_mode():
            logits = model.finished.model(data.batch(range(len(data)))).predictions[model.target]
        found.append((logits.double() / temperature).softmax(1).mean(0).numpy())
    return np.array(found)


def by_bundle(bundle: Path, files: list[str], classes: list[str]) -> np.ndarray:
    """Return what `serkit predict` says of the files: (files, classes)."""
    command = [sys.executable, "-c", PREDICT, "predict", *files, "--model", str(bundle), "--format", "jsonl"]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    answers = {row["file"]: row for row in map(json.loads, told.stdout.splitlines())}
    return np.array([[answers[file]["probabilities"][name] for name in classes] for file in files])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("bundle", type=Path)
    asked = parser.parse_args()
    model, temperature = trained(asked.run)
    utterances = model.experiment.scored
    classes = list(model.finished.classes[model.target])
    ours = by_torch(model, temperature)
    theirs = by_bundle(asked.bundle, [str(utterance.path) for utterance in utterances], classes)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sound = sum(audio.info(utterance.path).duration for utterance in utterances)
    same = int((ours.argmax(1) == theirs.argmax(1)).sum())
    print(
        f"labels: {same} of {len(utterances)} agree; probabilities differ by {np.abs(ours - theirs).max():.1e} at most"
    )
    print(f"bundle: {sound / (used.ru_utime + used.ru_stime):.0f} times faster than real time on one core")


if __name__ == "__main__":
    main()
