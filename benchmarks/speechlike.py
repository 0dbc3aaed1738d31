"""Fit and measure the check for speech (`serkit.recognition.speechlike`).

    python benchmarks/speechlike.py fit --corpora CORPORA [--seed 0]       # writes speechlike.json beside the code
    python benchmarks/speechlike.py report --corpora CORPORA [--json FILE]

CORPORA holds emodb, ravdess, nemo, emotiontts_ko, spoken_words, spoken_orders (fitting), savee, casia, tava (report
only), and noise. The fit reads every second pair of speakers of its corpora (of files, where speakers are unknown), the
generated sounds of `sounds.FITTED` and three of the recorded noises. It chooses among `SETTINGS` by cross-validation:
it holds out speakers, and whole families of sounds. The report reads the other speakers, the sounds of
`sounds.REPORTED` and the other noises.
"""

from __future__ import annotations

import argparse
import json
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import sounds
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter, sosfilt
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sounds import RATE, Random, Sound, colored, made

import serkit
from serkit import audio, augment, degrade
from serkit.recognition import speechlike

FITTED = ("emodb", "ravdess", "nemo", "emotiontts_ko", "spoken_words", "spoken_orders")
UNSEEN = ("savee", "casia", "tava/recordings")
#: Recordings of a corpus that are also measured with noise, in a room and so on.
CHANGED = 100
#: Sounds of a family.
SOUNDS = 120
FITTED_NOISES = ("doing_the_dishes", "running_tap", "white_noise")

#: Size of the hidden layer of a network, and its penalty of squared weights.
SETTINGS = ((16, 0.1), (16, 0.01), (32, 0.01))
FOLDS = 4
NETWORKS = 4
#: Shares of clean held-out speech of a corpus, in %, that may be below `THRESHOLD` and below `CERTAIN`.
REFUSED, DOUBTED = 0.5, 5.0
#: Sounds of each family that the bundle `default` answers in the report.
ANSWERED = 10


def pieces(random: Random, signal: np.ndarray, count: int) -> Iterator[np.ndarray]:
    for _ in range(count):
        n = int(RATE * random.choice([0.6, 1.5, 3, 6]))
        at = int(random.integers(0, max(1, len(signal) - n)))
        yield signal[at : at + n]


def short(random: Random, signal: np.ndarray, seconds: float = 0.4) -> np.ndarray:
    """Cut out the loudest stretch."""
    n = int(RATE * seconds)
    if len(signal) <= n:
        return signal
    sums = np.cumsum(np.append(0, signal.astype(float) ** 2))
    at = int((sums[n:] - sums[:-n]).argmax())
    return signal[at : at + n]


def whispered(random: Random, signal: np.ndarray) -> np.ndarray:
    """Replace the voice by noise: linear prediction of order 18 in frames of 30 ms, noise through its filter."""
    size, hop, window = 480, 240, np.hanning(480)
    result = np.zeros(len(signal) + size)
    for at in range(0, len(signal) - size, hop):
        frame = signal[at : at + size].astype(float) * window
        r = np.correlate(frame, frame, "full")[size - 1 : size + 18]
        if r[0] < 1e-7:
            continue
        r[0] *= 1.001
        a = solve_toeplitz(r[:-1], r[1:])
        gain = np.sqrt(max(1e-12, r[0] - a @ r[1:]) / size)
        result[at : at + size] += lfilter([gain], np.append(1, -a), random.standard_normal(size)) * window
    # Whispers have little energy at low frequencies.
    return sosfilt(butter(1, 500, "high", fs=RATE, output="sos"), result[: len(signal)]).astype(np.float32)


def noisy(random: Random, signal: np.ndarray, others: list[np.ndarray], ratio: float = 10) -> np.ndarray:
    if random.random() < 0.5 or not others:
        added = colored(random, len(signal), random.choice([0, -3, -6]))
    else:
        whole = others[int(random.integers(len(others)))]
        at = int(random.integers(0, max(1, len(whole) - len(signal))))
        added = np.resize(whole[at : at + len(signal)], len(signal))
    power = np.mean(signal.astype(float) ** 2) / 10 ** (ratio / 10)
    return (signal + np.sqrt(power / (np.mean(added.astype(float) ** 2) + 1e-12)) * added).astype(np.float32)


def conditions(random: Random, signal: np.ndarray, others: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {
        "clean": signal,
        "noise 10 dB": noisy(random, signal, others),
        "telephone": augment.Telephone()(signal, RATE, len(signal), random),
        "8 kHz": audio.resample(audio.resample(signal, RATE, 8000), 8000, RATE),
        "loudest 0.4 s": short(random, signal),
        "loudest 1.5 s": short(random, signal, 1.5),
        "whispered": whispered(random, signal),
        "room": degrade.Reverberation()(signal, RATE, len(signal), random),
    }


def measure(signal: np.ndarray) -> np.ndarray:
    return speechlike.measures(speechlike.halved(signal))


def speaker(path: Path) -> str:
    """Name a speaker from a path of these corpora; where there is none, the file."""
    stem, folder = path.stem, path.parts
    if "emodb" in folder:
        return stem[:2]
    if "nemo" in folder:
        return stem[:2]
    if "spoken_words" in folder or "ravdess" in folder:
        return path.parent.name
    if "emotiontts_ko" in folder:
        return path.parent.parent.name
    return stem


def of_corpus(
    root: Path, name: str, others: list[np.ndarray], fitting: bool | None
) -> list[tuple[str, str, np.ndarray]]:
    """Measure the recordings of a corpus as they are, some under all conditions: (file, condition, measures)."""
    paths = sorted((root / name).rglob("*.flac"))
    if fitting is not None:
        speakers = sorted({speaker(path) for path in paths})
        # Pairs, because RAVDESS numbers men and women in turn.
        half = {one for number, one in enumerate(speakers) if (number // 2 % 2 == 0) == fitting}
        paths = [path for path in paths if speaker(path) in half]

    changed = set(paths[:: max(1, len(paths) // CHANGED)])
    with ProcessPoolExecutor(2) as pool:
        found = pool.map(partial(of_recording, others=others), paths, [path in changed for path in paths], chunksize=20)
        return [row for rows in found for row in rows]


def of_recording(path: Path, changed: bool, others: list[np.ndarray]) -> list[tuple[str, str, np.ndarray]]:
    random = np.random.default_rng(zlib.crc32(path.stem.encode()))
    signal, _ = audio.read(path, rate=RATE, channel=0)
    signal = signal[: 8 * RATE]
    found = conditions(random, signal, others) if changed else {"clean": signal}
    return [(str(path), key, measure(value)) for key, value in found.items()]


def recorded(root: Path, fitting: bool) -> dict[str, np.ndarray]:
    """Read the recorded noises for fitting, or the others."""
    paths = sorted((root / "noise").rglob("*.flac"))
    return {path.stem: audio.read(path, rate=RATE)[0] for path in paths if (path.stem in FITTED_NOISES) == fitting}


def of_family(name: str, source: Sound | np.ndarray, seed: int) -> np.ndarray:
    """Measure sounds of a family, or pieces of a recorded noise: (sounds, measures)."""
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if isinstance(source, np.ndarray):
        return np.array([measure(piece) for piece in pieces(random, source, SOUNDS)])
    return np.array([measure(made(random, source)) for _ in range(SOUNDS)])


def of_families(sources: dict[str, Sound | np.ndarray], seed: int) -> dict[str, np.ndarray]:
    with ProcessPoolExecutor(2) as pool:
        tables = pool.map(of_family, sources, sources.values(), [seed] * len(sources))
        return dict(zip(sources, tables, strict=True))


@dataclass(frozen=True)
class Table:
    """Measures of a corpus or of a family of sounds.

    Args:
        name: of the corpus or family.
        speech: whether it is speech.
        values: (rows, measures).
        folds: fold of each row in the cross-validation.
        clean: whether each row is a recording as it is.
    """

    name: str
    speech: bool
    values: np.ndarray
    folds: np.ndarray
    clean: np.ndarray


def of_fitting_half(root: Path, seed: int) -> list[Table]:
    noises = recorded(root, fitting=True)
    tables = []
    for name in FITTED:
        rows = of_corpus(root, name, list(noises.values()), True)
        speakers = [speaker(Path(path)) for path, _, _ in rows]
        numbers = {one: number % FOLDS for number, one in enumerate(sorted(set(speakers)))}
        folds = np.array([numbers[one] for one in speakers])
        clean = np.array([condition == "clean" for _, condition, _ in rows])
        tables.append(Table(name, True, np.array([values for _, _, values in rows]), folds, clean))
    families = of_families({**sounds.FITTED, **noises}, seed)
    for number, (name, values) in enumerate(families.items()):
        same = np.full(len(values), number % FOLDS)
        tables.append(Table(name, False, values, same, np.ones(len(values), bool)))
    return tables


def trained(tables: list[Table], hidden: int, penalty: float, seed: int, count: int) -> dict[str, np.ndarray]:
    """Train small networks, whose mean is one network with a hidden layer."""
    tables = [table for table in tables if len(table.values)]
    speech = np.concatenate([np.full(len(table.values), table.speech) for table in tables])
    # Corpora count the same, and families; speech as much as all else.
    counts = {kind: sum(table.speech == kind for table in tables) for kind in (True, False)}
    weights = np.concatenate([np.full(len(t.values), 0.5 / len(t.values) / counts[t.speech]) for t in tables])
    x = np.concatenate([table.values for table in tables])
    mean, scale = x[speech].mean(axis=0), x[speech].std(axis=0) + 1e-3
    x = np.clip((x - mean) / scale, -speechlike.FARTHEST, speechlike.FARTHEST)
    networks = [
        MLPClassifier(
            (hidden,), activation="tanh", alpha=penalty, max_iter=150, random_state=seed + n, learning_rate_init=2e-3
        )
        for n in range(count)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for network in networks:
            network.fit(x, speech, sample_weight=weights * len(x))
    return {
        "mean": mean,
        "scale": scale,
        "hidden": np.concatenate([network.coefs_[0].T for network in networks]),
        "bias": np.concatenate([network.intercepts_[0] for network in networks]),
        "output": np.concatenate([network.coefs_[1][:, 0] for network in networks]) / len(networks),
        "offset": np.mean([network.intercepts_[1][0] for network in networks]),
    }


def held_out(tables: list[Table], hidden: int, penalty: float, seed: int) -> list[np.ndarray]:
    """Return the probability of speech of each row, by a network that has learned from the other folds."""
    found = [np.empty(len(table.values)) for table in tables]
    for fold in range(FOLDS):
        rest = [replace(t, values=t.values[t.folds != fold], clean=t.clean[t.folds != fold]) for t in tables]
        weights = trained(rest, hidden, penalty, seed, count=1)
        for table, probabilities in zip(tables, found, strict=True):
            held = table.folds == fold
            x = (table.values[held] - weights["mean"]) / weights["scale"]
            x = np.clip(x, -speechlike.FARTHEST, speechlike.FARTHEST)
            logits = np.tanh(x @ weights["hidden"].T + weights["bias"]) @ weights["output"] + weights["offset"]
            probabilities[held] = 1 / (1 + np.exp(-logits))
    return found


def fit(root: Path, seed: int) -> None:
    """Choose a setting, fit, and write the network beside the code."""
    tables = of_fitting_half(root, seed)
    best: tuple[float, int, float] = (np.inf, 0, 0.0)
    for hidden, penalty in SETTINGS:
        found = held_out(tables, hidden, penalty, seed)
        clean = [p[t.clean] for t, p in zip(tables, found, strict=True) if t.speech]
        # Rounded down to hundredths.
        limits = [
            float(np.floor(100 * min(np.quantile(p, share / 100, method="lower") for p in clean)) / 100)
            for share in (REFUSED, DOUBTED)
        ]
        accepted = {
            t.name: [float(round(100 * np.mean(p >= limit), 1)) for limit in limits]
            for t, p in zip(tables, found, strict=True)
            if not t.speech
        }
        means = np.mean([*accepted.values()], axis=0)
        print(f"hidden {hidden}, penalty {penalty}: THRESHOLD, CERTAIN = {limits}; accepted in %: {means.round(1)}")
        print(f"  {accepted}", flush=True)
        # Other sounds should be below both thresholds.
        best = min(best, (float(means.mean()), hidden, penalty))
    print("chosen:", *best[1:])
    content = trained(tables, *best[1:], seed, NETWORKS)
    lists = {"measures": list(speechlike.MEASURES)} | {k: np.round(v, 5).tolist() for k, v in content.items()}
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in lists.items())
    speechlike.WEIGHTS.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def shares(values: list[np.ndarray]) -> tuple[float, float]:
    """Return the shares in % that are not below `THRESHOLD`, and not below `CERTAIN`."""
    found = np.array([speechlike.of_measures(one) for one in values])
    return tuple(float(round(100 * np.mean(found >= at), 1)) for at in (speechlike.THRESHOLD, speechlike.CERTAIN))


def report(root: Path, seed: int, path: Path | None) -> None:
    """Print the shares of speech and of other sounds that are accepted, and sure answers to other sounds."""
    noises = recorded(root, fitting=False)
    speech: dict[str, dict[str, tuple[float, float]]] = {}
    for name in (*FITTED, *UNSEEN):
        found = of_corpus(root, name, list(noises.values()), False if name in FITTED else None)
        by_condition = {key: [values for _, one, values in found if one == key] for _, key, _ in found}
        speech[name] = {
            key: tuple(round(100 - share, 1) for share in shares(values)) for key, values in by_condition.items()
        }
        print(f"{name} ({len(by_condition['clean'])}), no speech and perhaps none in %: {speech[name]}", flush=True)
    others = {
        # Other sounds of the fitted families than for the fit.
        kind: {name: shares(list(table)) for name, table in of_families(sources, seed + 1).items()}
        for kind, sources in (
            ("fitted", {**sounds.FITTED, **recorded(root, fitting=True)}),
            ("not fitted", {**sounds.REPORTED, **noises}),
        )
    }
    for kind, accepted in others.items():
        print(f"accepted in %, {kind}: {accepted}, mean {np.mean([*accepted.values()], axis=0).round(1)}", flush=True)
    sure = sure_answers(noises, seed)
    print(f"sure by 'default', of {ANSWERED} sounds of each family that is not fitted: {sure}")
    if path:
        content = {"speech": speech, "others": others, "sure": sure}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def sure_answers(noises: dict[str, np.ndarray], seed: int) -> dict[str, dict[str, int]]:
    """Count the answers of the bundle `default` to sounds that are no speech, by doubt; "" is sure."""
    recognizer = serkit.load()
    found: dict[str, dict[str, int]] = {}
    for name, source in {**sounds.REPORTED, **noises}.items():
        random = np.random.default_rng([seed + 2, zlib.crc32(name.encode())])
        drawn = (
            pieces(random, source, ANSWERED)
            if isinstance(source, np.ndarray)
            else (made(random, source) for _ in range(ANSWERED))
        )
        found[name] = dict(Counter(recognizer.predict_signal(sound, RATE).doubt for sound in drawn))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["fit", "report"])
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the report to this file")
    arguments = parser.parse_args()
    if arguments.what == "fit":
        fit(arguments.corpora, arguments.seed)
    else:
        report(arguments.corpora, arguments.seed, arguments.json)


if __name__ == "__main__":
    main()
