"""The feature is09 beside openSMILE's: time and agreement, on one core, the same recordings in turn.

    SERKIT_CORPORA=FOLDER python benchmarks/is09_opensmile.py [--corpus emodb] [--files 50] [--times 5] [--json FILE]

Needs openSMILE in the same environment: pip install opensmile. It is no dependency of serkit; its licence allows
private use, research and education only.
"""

from __future__ import annotations

import argparse
import json
import os
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


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def signals(corpus: str, count: int) -> list[np.ndarray]:
    """Read recordings spread evenly over a corpus, in steps of 16-bit audio, as openSMILE reads them."""
    folder = os.environ.get("SERKIT_CORPORA")
    if not folder:
        sys.exit("set SERKIT_CORPORA to the folder that holds the corpora")
    found = corpora.load(corpus, Path(folder) / corpus).utterances
    chosen = found[:: max(1, len(found) // count)][:count]
    read = (audio.read(utterance.path, RATE)[0] for utterance in chosen)
    return [(np.clip(np.round(signal * 32768), -32768, 32767) / 32768).astype(np.float32) for signal in read]


def correlations(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column; 1 where both are constant and equal."""
    ours, theirs = ours - ours.mean(axis=0), theirs - theirs.mean(axis=0)
    scale = np.sqrt((ours**2).sum(axis=0) * (theirs**2).sum(axis=0))
    equal = (np.abs(ours - theirs) < 1e-6).all(axis=0)
    return np.where(scale > 0, (ours * theirs).sum(axis=0) / np.where(scale > 0, scale, 1), equal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="emodb")
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    try:
        import opensmile
    except ImportError:
        sys.exit("openSMILE is not installed here; to compare with it: pip install opensmile")

    feature = features.build("is09", rate=RATE)
    smile = opensmile.Smile(opensmile.FeatureSet.IS09, opensmile.FeatureLevel.Functionals, num_workers=1)
    recordings = signals(arguments.corpus, arguments.files)
    ours = np.array([feature(signal) for signal in recordings], dtype=np.float64)
    theirs = np.array([smile.process_signal(signal, RATE).to_numpy()[0] for signal in recordings], dtype=np.float64)
    if list(smile.feature_names) != feature.columns:
        sys.exit("the columns' names or order differ")
    agreement = correlations(ours, theirs)

    # openSMILE is measured twice: as people call it, and its core alone, without the table that the package makes.
    calls: dict[str, Callable[[np.ndarray], object]] = {
        "serkit": feature,
        "opensmile": lambda signal: smile.process_signal(signal, RATE),
        "opensmile core": lambda signal: smile(signal, RATE),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(arguments.times):
        for name, call in calls.items():
            times[name].append(seconds(lambda call=call: [call(signal) for signal in recordings]))
    audio_seconds = sum(map(len, recordings)) / RATE
    median = {name: statistics.median(values) for name, values in times.items()}
    result = {
        "corpus": arguments.corpus,
        "files": len(recordings),
        "audio in s": audio_seconds,
        "real-time factor": {name: value / audio_seconds for name, value in median.items()},
        "times as fast": {
            name: statistics.median(their / our for our, their in zip(times["serkit"], times[name], strict=True))
            for name in list(calls)[1:]
        },
        "features with r >= 0.999": int((agreement >= 0.999).sum()),
        "features with r >= 0.95": int((agreement >= 0.95).sum()),
        "lowest r": float(agreement.min()),
        "its feature": feature.columns[int(agreement.argmin())],
    }
    print(json.dumps(result, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
