"""The features egemaps and egemaps_descriptors beside openSMILE's: agreement and time, on one core.

    SERKIT_CORPORA=FOLDER python benchmarks/egemaps_opensmile.py [--corpora emodb,savee,...] [--files 60] [--seed 7]
        [--times 5] [--json FILE]

Recordings are drawn at random, as many from each corpus. Needs openSMILE in the same environment: pip install
opensmile. It is no dependency of serkit; its licence allows private use, research and education only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# One core for both; must be set before NumPy is imported.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # noqa: E402

from serkit import audio, corpora, features  # noqa: E402

RATE = 16000
CORPORA = "emodb,savee,ravdess,nemo,tava,casia"


def seconds(work: Callable[[], object]) -> float:
    # Time of this process, which does not depend on what else the machine does.
    began = time.process_time()
    work()
    return time.process_time() - began


def signals(names: list[str], count: int, seed: int) -> list[np.ndarray]:
    """Read recordings drawn at random, in steps of 16-bit audio, as openSMILE reads them."""
    folder = os.environ.get("SERKIT_CORPORA")
    if not folder:
        sys.exit("set SERKIT_CORPORA to the folder that holds the corpora")
    chance = random.Random(seed)
    paths = []
    for number, name in enumerate(names):
        found = sorted(str(utterance.path) for utterance in corpora.load(name, Path(folder) / name).utterances)
        paths += chance.sample(found, count // len(names) + (number < count % len(names)))
    read = (audio.read(Path(path), RATE)[0] for path in paths)
    return [(np.clip(np.round(signal * 32768), -32768, 32767) / 32768).astype(np.float32) for signal in read]


def agreement(ours: np.ndarray, theirs: np.ndarray) -> list[dict[str, float]]:
    """Return the correlation and the median error over the standard deviation of each column."""
    result = []
    for our, their in zip(ours.T, theirs.T, strict=True):
        deviation = float(their.std()) or 1.0
        error = float(np.median(np.abs(our - their))) / deviation
        result.append({"r": round(float(np.corrcoef(our, their)[0, 1]), 5), "median error / sd": round(error, 6)})
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", default=CORPORA)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    try:
        import opensmile
    except ImportError:
        sys.exit("openSMILE is not installed here; to compare with it: pip install opensmile")

    recordings = signals(arguments.corpora.split(","), arguments.files, arguments.seed)
    sets, levels = opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel
    smile = opensmile.Smile(sets, levels.Functionals, num_workers=1)
    frames = opensmile.Smile(sets, levels.LowLevelDescriptors, num_workers=1)
    feature, descriptors = features.build("egemaps", rate=RATE), features.build("egemaps_descriptors", rate=RATE)
    if list(smile.feature_names) != feature.columns or list(frames.feature_names) != descriptors.columns:
        sys.exit("the columns' names or order differ")
    ours = np.array([feature(signal) for signal in recordings], dtype=np.float64)
    theirs = np.array([smile(signal, RATE).ravel() for signal in recordings], dtype=np.float64)
    contours = np.concatenate([descriptors(signal) for signal in recordings], axis=1).astype(np.float64)
    expected = np.concatenate([frames(signal, RATE)[0] for signal in recordings], axis=1).astype(np.float64)

    # openSMILE's core alone, without the table that the package makes.
    calls: dict[str, Callable[[np.ndarray], object]] = {
        "serkit": feature,
        "opensmile": lambda signal: smile(signal, RATE),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(arguments.times):
        for name, call in calls.items():
            times[name].append(seconds(lambda call=call: [call(signal) for signal in recordings]))
    audio_seconds = sum(map(len, recordings)) / RATE
    functionals = dict(zip(feature.columns, agreement(ours, theirs), strict=True))
    correlations = [values["r"] for values in functionals.values()]
    result = {
        "corpora": arguments.corpora.split(","),
        "files": len(recordings),
        "seed": arguments.seed,
        "audio in s": audio_seconds,
        "real-time factor": {name: statistics.median(values) / audio_seconds for name, values in times.items()},
        "times as fast": statistics.median(
            their / our for our, their in zip(times["serkit"], times["opensmile"], strict=True)
        ),
        "functionals": {f"r >= {least}": sum(r >= least for r in correlations) for least in (0.999, 0.99, 0.95, 0.9)},
        "by functional": functionals,
        "by descriptor": dict(zip(descriptors.columns, agreement(contours.T, expected.T), strict=True)),
    }
    print(json.dumps({key: value for key, value in result.items() if not key.startswith("by ")}, indent=1))
    for name, values in functionals.items():
        if values["r"] < 0.99:
            print(f"{name}: r {values['r']}, median error / sd {values['median error / sd']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
