"""How right F0 of the electroglottograph (EGG) is: on signals of known F0, and on TAVA beside Praat.

    python benchmarks/f0_accuracy.py [--feature f0_egg] [--set KEY=VALUE ...] [--json FILE]
    python benchmarks/f0_accuracy.py --tava FOLDER          # needs praat-parselmouth (GPL), in a place of its own

Two sources of known F0: serkit's `synthetic` EGG, and raised-cosine contact pulses made here, which share no
code with it. Signal-to-noise ratios are those of the voiced parts. Gross: share of the frames voiced in both
that are more than 20 % off. Fine: mean absolute deviation of the others. Missed: share of the voiced frames taken
for unvoiced. False: share of the unvoiced frames taken for voiced, frames that touch a voiced part left out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serkit.features import Feature, build, butterworth
from serkit.systems import parse_value

RATE = 16000
GROSS = 0.2
COLUMNS = ("gross %", "octave up %", "octave down %", "fine cents", "missed %", "false %")

Signal = tuple[np.ndarray, np.ndarray]


def pulses(contour: np.ndarray, amplitude: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Contact pulses whose cycles follow a contour in Hz per sample, 0 where unvoiced.

    The folds meet in a tenth of a cycle and part in half of one, each half a cosine.
    """
    phase = np.cumsum(contour / RATE) % 1
    meeting = 0.5 - 0.5 * np.cos(np.pi * phase / 0.1)
    parting = 0.5 + 0.5 * np.cos(np.pi * (phase - 0.1) / 0.5)
    contact = np.where(phase < 0.1, meeting, np.where(phase < 0.6, parting, 0.0)) - 0.3
    return amplitude * contact + 1e-4 * generator.standard_normal(len(contour))


def melodies(generator: np.random.Generator) -> Iterator[Signal]:
    """Yield EGG and F0 per sample: constants, glides and vibratos, in voiced parts with pauses between."""
    seconds = np.arange(4 * RATE) / RATE
    tracks = [np.full(len(seconds), f0) for f0 in (65.0, 80.0, 120.0, 180.0, 250.0, 350.0, 450.0)]
    tracks += [80 * (450 / 80) ** (seconds / 4), 450 * (80 / 450) ** (seconds / 4)]
    tracks += [
        centre * 2 ** (semitones / 12 * np.sin(2 * np.pi * 5.5 * seconds))
        for centre, semitones in ((110, 2), (220, 3), (330, 1))
    ]
    for track in tracks:
        strength = np.zeros(len(seconds))
        begin = 0.2
        while begin < 3.6:
            end = begin + generator.uniform(0.25, 0.9)
            inside = (seconds >= begin) & (seconds < min(end, 3.8))
            swell = np.minimum(seconds[inside] - begin, min(end, 3.8) - seconds[inside]) / 0.03
            strength[inside] = np.clip(swell, 0.1, 1) * generator.uniform(0.4, 1)
            begin = end + generator.uniform(0.1, 0.3)
        f0 = np.where(strength > 0, track, 0.0)
        yield pulses(track, 0.35 * strength, generator), f0


def synthetic() -> Iterator[Signal]:
    """Yield EGG and F0 per sample of serkit's source-filter model: 6 speakers, all emotions."""
    from serkit.corpora.source_filter import HOP, MANNERS, utterance

    for speaker in range(1, 7):
        for number, emotion in enumerate(MANNERS):
            take = utterance(speaker, 1 + number % 4, emotion, 1)
            # The EGG fades in and out between an unvoiced value of the contour and a voiced one.
            f0 = np.append(take.f0, 0.0)
            f0 = np.where(f0 > 0, f0, np.maximum(np.roll(f0, 1), np.roll(f0, -1)))
            position = np.arange(len(take.egg)) / HOP
            near = np.interp(position, np.arange(len(take.f0) + 1), np.append(take.f0, 0.0) > 0)
            yield take.egg.astype(float), np.where(near > 0, np.interp(position, np.arange(len(f0)), f0), 0.0)


def _clean(egg: np.ndarray, _: np.ndarray, __: np.random.Generator) -> np.ndarray:
    return egg


def _drift(egg: np.ndarray, voiced: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    seconds = np.arange(len(egg)) / RATE
    return egg + 10 * np.abs(egg).max() * np.sin(2 * np.pi * (seconds + generator.uniform()))


def _hum(egg: np.ndarray, voiced: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    seconds = np.arange(len(egg)) / RATE
    hum = np.sin(2 * np.pi * (50 * seconds + generator.uniform()))
    return egg + 10 ** (-10 / 20) * np.sqrt(2) * _rms(egg[voiced]) * hum


def _noise(ratio: float) -> Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]:
    def disturb(egg: np.ndarray, voiced: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return egg + 10 ** (-ratio / 20) * _rms(egg[voiced]) * generator.standard_normal(len(egg))

    return disturb


DISTURBANCES = {
    "clean": _clean,
    "1 Hz drift, 10 times as large": _drift,
    "50 Hz hum, 10 dB below": _hum,
    "white noise, 20 dB": _noise(20),
    "white noise, 10 dB": _noise(10),
}


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean((signal - signal.mean()) ** 2)))


def at_frames(feature: Any, samples: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return F0 at the middle of each frame, and whether any of its samples is voiced."""
    middle = samples[np.minimum(feature.middle + feature.hop * np.arange(frames), len(samples) - 1)]
    count = np.concatenate(([0], np.cumsum(samples > 0)))
    begin = np.minimum(feature.hop * np.arange(frames), len(samples))
    return middle, count[np.minimum(begin + feature.length, len(samples))] > count[begin]


def compare(truth: np.ndarray, found: np.ndarray, touched: np.ndarray) -> dict[str, float]:
    """Return the errors of a contour beside the true one, frames of all recordings joined."""
    both = (truth > 0) & (found > 0)
    ratio = found[both] / truth[both]
    gross = np.abs(ratio - 1) > GROSS
    cents = 1200 * np.abs(np.log2(ratio[~gross]))
    values = (
        100 * gross.mean(),
        100 * (np.abs(ratio / 2 - 1) < GROSS).mean(),
        100 * (np.abs(ratio * 2 - 1) < GROSS).mean(),
        cents.mean(),
        100 * (found[truth > 0] == 0).mean(),
        100 * (found[~touched] > 0).mean(),
    )
    return dict(zip(COLUMNS, (round(float(value), 2) for value in values), strict=True))


def known(feature: Feature, seed: int = 0) -> dict[str, dict[str, float]]:
    """Measure on signals of known F0: errors by source and disturbance."""
    rows = {}
    for source, make in (("synthetic", lambda _: synthetic()), ("pulses", melodies)):
        signals = list(make(np.random.default_rng(seed)))
        for name, disturb in DISTURBANCES.items():
            generator = np.random.default_rng(seed + 1)
            parts = []
            for egg, f0 in signals:
                found = feature(disturb(egg, f0 > 0, generator).astype(np.float32))[0]
                truth, touched = at_frames(feature, f0, len(found))
                parts.append((truth, found, touched))
            rows[f"{source}: {name}"] = compare(*map(np.concatenate, zip(*parts, strict=True)))
    return rows


def closing_rate(derivative: np.ndarray, middle: int) -> float:
    """Return F0 by the instants of glottal closure within 40 ms of a sample, 0 where there are fewer than three.

    A closure is a peak of the EGG's derivative at least 0.4 times as high as the highest within 20 ms of the
    sample, and the highest within 1.75 ms.
    """
    begin = max(0, middle - 640)
    near = derivative[begin : middle + 640]
    threshold = 0.4 * derivative[max(0, middle - 320) : middle + 320].max(initial=0.0)
    closures: list[int] = []
    for place in np.flatnonzero((near[1:-1] > threshold) & (near[1:-1] >= near[:-2]) & (near[1:-1] > near[2:])) + 1:
        if closures and place - closures[-1] < 28:
            closures[-1] = max(closures[-1], int(place), key=near.__getitem__)
        else:
            closures.append(int(place))
    return RATE / float(np.median(np.diff(closures))) if len(closures) > 2 else 0.0


def judge(feature: Any, egg: np.ndarray, found: np.ndarray, praat: np.ndarray) -> dict[str, int]:
    """Count with whom of two that are more than 20 % apart the closing instants agree."""
    derivative = np.diff(butterworth.high_pass(egg, RATE, 45, 4))
    derivative *= np.sign(np.mean(derivative**3))  # polarity: closing is faster than opening
    counts = {"feature": 0, "praat": 0, "neither": 0}
    for frame in np.flatnonzero((found > 0) & (praat > 0)):
        if abs(found[frame] / praat[frame] - 1) > GROSS:
            f0 = closing_rate(derivative, feature.middle + feature.hop * int(frame))
            agrees = {
                "feature": f0 and abs(found[frame] / f0 - 1) < GROSS,
                "praat": f0 and abs(praat[frame] / f0 - 1) < GROSS,
            }
            counts[next((name for name, does in agrees.items() if does), "neither")] += 1
    return counts


def beside_praat(feature: Any, folder: Path) -> tuple[dict[str, dict[str, float]], list[dict[str, Any]]]:
    """Measure F0 of TAVA's EGG beside Praat's F0 of the speech and of the EGG: errors, and a row per take."""
    import parselmouth

    from serkit.corpora.tava import read
    from serkit.data.items import Item
    from serkit.windowing import Windowing

    takes: list[dict[str, Any]] = []
    joined: dict[str, list[tuple[np.ndarray, ...]]] = {"Praat on the speech": [], "Praat on the EGG": []}
    for utterance in read(folder).utterances:
        item = Item(utterance)
        speech = item.signal(RATE, Windowing())
        egg = item.signal(RATE, Windowing(), "egg")
        found = feature(egg)[0]
        times = (feature.middle + feature.hop * np.arange(len(found))) / RATE
        row: dict[str, Any] = {"id": utterance.id, "correlation": utterance.attributes.get("egg_correlation")}
        for name, signal in zip(joined, (speech, egg), strict=True):
            pitch = parselmouth.Sound(signal.astype(float), RATE).to_pitch_ac(
                0.01, pitch_floor=feature.f_min, pitch_ceiling=feature.f_max
            )
            truth = np.nan_to_num(np.array([pitch.get_value_at_time(time) for time in times]))
            near = np.convolve(truth > 0, np.ones(5), mode="same") > 0
            joined[name].append((truth, found, near))
            both = (truth > 0) & (found > 0)
            ratio = found[both] / truth[both]
            row[name] = round(float(100 * (np.abs(ratio - 1) > GROSS).mean()), 1) if both.any() else None
            row[f"{name}, up"] = int((ratio > 1 + GROSS).sum())
            row[f"{name}, down"] = int((ratio < 1 - GROSS).sum())
            row[f"{name}, closures agree with"] = judge(feature, egg, found, truth)
        takes.append(row)
    return {name: compare(*map(np.concatenate, zip(*parts, strict=True))) for name, parts in joined.items()}, takes


def speed(feature: Any, seconds: int = 60) -> float:
    """Return how many times faster than real time F0 is computed."""
    time_of_samples = np.arange(seconds * RATE) / RATE
    f0 = np.where(time_of_samples % 1 < 0.7, 180.0, 0.0)
    egg = pulses(f0, 0.3 * (f0 > 0), np.random.default_rng(0)).astype(np.float32)
    best = np.inf
    for _ in range(5):
        begin = time.perf_counter()
        feature(egg)
        best = min(best, time.perf_counter() - begin)
    return seconds / best


def table(rows: dict[str, dict[str, float]]) -> str:
    lines = [f"| | {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * len(COLUMNS)}"]
    lines += [f"| {name} | {' | '.join(f'{row[column]:.1f}' for column in COLUMNS)} |" for name, row in rows.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feature", default="f0_egg")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tava", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    options = dict(override.split("=", 1) for override in chosen.set)
    feature = build(chosen.feature, **{key: parse_value(value) for key, value in options.items()})
    result: dict[str, Any] = {"feature": chosen.feature, "options": options}
    if chosen.tava:
        result["errors"], result["takes"] = beside_praat(feature, chosen.tava)
        for name in result["errors"]:
            counts = [take[f"{name}, closures agree with"] for take in result["takes"]]
            print(f"{name}, closing instants agree with", {key: sum(one[key] for one in counts) for key in counts[0]})
    else:
        result["errors"] = known(feature)
        result["times faster than real time"] = round(speed(feature))
        print(f"{result['times faster than real time']} times faster than real time\n")
    print(table(result["errors"]))
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
