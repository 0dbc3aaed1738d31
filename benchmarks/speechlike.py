"""Fit and measure the check for speech (`serkit.recognition.speechlike`).

    python benchmarks/speechlike.py fit --corpora CORPORA [--seed 0]       # writes speechlike.json beside the code
    python benchmarks/speechlike.py report --corpora CORPORA [--json FILE]

CORPORA holds emodb, ravdess, nemo, emotiontts_ko, spoken_words, spoken_orders (fitting), savee, casia, tava (report
only), and noise. The fit reads every second speaker of its corpora (files, where speakers are unknown), the generated
sounds of `CHOOSING` and three of the recorded noises; the report reads the others.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import butter, lfilter, sosfilt
from sklearn.neural_network import MLPClassifier

from serkit import audio, augment, degrade
from serkit.recognition import speechlike

RATE = 16000
Random = np.random.Generator
Sound = Callable[[Random, int], np.ndarray]


def times(n: int) -> np.ndarray:
    return np.arange(n) / RATE


def harmonics(random: Random, hertz: np.ndarray, count: int | None = None, fall: float | None = None) -> np.ndarray:
    """Return harmonics of a changing frequency (samples,) in Hz; their power falls by `fall` dB per octave."""
    count = int(random.integers(1, 30)) if count is None else count
    fall = random.uniform(0, 14) if fall is None else fall
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    total = np.zeros(len(hertz))
    for k in range(1, count + 1):
        if k * hertz.max() > 7800:
            break
        total += 10 ** (-fall * np.log2(k) / 20) * np.sin(k * phase + random.uniform(0, 6.28))
    return total


def colored(random: Random, n: int, slope: float) -> np.ndarray:
    spectrum = np.fft.rfft(random.standard_normal(n))
    hertz = np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20)
    noise = np.fft.irfft(spectrum * 10 ** (slope * np.log2(hertz) / 20), n)
    return noise / noise.std()


def envelope(random: Random, n: int) -> np.ndarray:
    """Return a slow random level from 0.2 to 1, or none."""
    if random.random() < 0.5:
        return np.ones(n)
    points = random.uniform(0.2, 1, max(2, int(n / RATE * random.uniform(0.5, 4)) + 2))
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(points)), points)


def struck(random: Random, n: int, note: Callable[[Random, int], np.ndarray], rate: float) -> np.ndarray:
    """Place notes at a regular or irregular rate per second."""
    total, at, regular = np.zeros(n), 0.0, random.random() < 0.6
    while at < n:
        length = int(RATE * random.uniform(0.1, 0.8))
        piece = note(random, length)[: n - int(at)]
        total[int(at) : int(at) + len(piece)] += piece * random.uniform(0.5, 1)
        at += RATE / rate * (1 if regular else random.uniform(0.4, 1.8))
    return total


def tone(random: Random, n: int) -> np.ndarray:
    return np.sin(2 * np.pi * 10 ** random.uniform(1.8, 3.8) * times(n)) * envelope(random, n)


def sweep(random: Random, n: int) -> np.ndarray:
    low, high = 10 ** random.uniform(1.8, 3.7, 2)
    turns = random.choice([0.5, 1, 2, 4])
    way = 0.5 - 0.5 * np.cos(2 * np.pi * turns * np.linspace(0, 1, n))
    return harmonics(random, low * (high / low) ** way, int(random.integers(1, 6)))


def chord(random: Random, n: int) -> np.ndarray:
    root = 10 ** random.uniform(1.9, 2.9)
    steps = random.choice([[0, 4, 7], [0, 3, 7], [0, 4, 7, 11], [0, 5, 9], [0, 12]][int(random.integers(5))], 3)
    return sum(harmonics(random, np.full(n, root * 2 ** (s / 12)), int(random.integers(1, 10))) for s in steps)


def chords(random: Random, n: int) -> np.ndarray:
    parts = []
    while sum(map(len, parts)) < n:
        length = int(RATE * random.uniform(0.15, 1.2))
        parts.append(chord(random, length) * np.exp(-np.linspace(0, random.uniform(0, 4), length)))
    return np.concatenate(parts)[:n]


def hum(random: Random, n: int) -> np.ndarray:
    vibrato = random.choice([0, 0.02, 0.05]) * np.sin(2 * np.pi * random.uniform(3, 8) * times(n))
    drift = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 4), random.uniform(-0.1, 0.1, 4))
    hertz = 10 ** random.uniform(1.8, 2.8) * (1 + vibrato + drift)
    return harmonics(random, hertz, int(random.integers(2, 12))) * envelope(random, n)


def vowel(random: Random, n: int) -> np.ndarray:
    """A held vowel: harmonics through fixed formants."""
    source = harmonics(random, 10 ** random.uniform(1.9, 2.6) * (1 + 0.02 * np.sin(33 * times(n))), 40, 6)
    for center in (random.uniform(250, 800), random.uniform(900, 2300), 2700):
        r = np.exp(-np.pi * 90 / RATE)
        source = lfilter([1], [1, -2 * r * np.cos(2 * np.pi * center / RATE), r * r], source)
    return source * envelope(random, n)


def noise(random: Random, n: int) -> np.ndarray:
    return colored(random, n, random.uniform(-9, 3)) * envelope(random, n)


def band_noise(random: Random, n: int) -> np.ndarray:
    low = 10 ** random.uniform(1.8, 3.5)
    sos = butter(2, [low, min(7900, low * random.uniform(1.2, 4))], "band", fs=RATE, output="sos")
    return sosfilt(sos, random.standard_normal(n)) * envelope(random, n)


def pulsed_noise(random: Random, n: int) -> np.ndarray:
    """Noise whose level swings at up to the rate of syllables: waves, a saw, a train."""
    rate, depth = 10 ** random.uniform(-0.5, 1.1), random.uniform(0.5, 1)
    swing = 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * times(n)))
    return colored(random, n, random.uniform(-9, 3)) * swing ** random.choice([1, 2, 4])


def clicks(random: Random, n: int) -> np.ndarray:
    def click(random: Random, length: int) -> np.ndarray:
        return random.standard_normal(length) * np.exp(-times(length) * random.uniform(30, 600))

    return struck(random, n, click, 10 ** random.uniform(0, 1.3)) + 0.003 * random.standard_normal(n)


def dtmf(random: Random, n: int) -> np.ndarray:
    def digit(random: Random, length: int) -> np.ndarray:
        low, high = random.choice([697, 770, 852, 941]), random.choice([1209, 1336, 1477, 1633])
        return np.sin(2 * np.pi * low * times(length)) + np.sin(2 * np.pi * high * times(length))

    gap = random.uniform(1.5, 6)
    return struck(random, n, lambda r, length: digit(r, int(RATE * 0.7 / gap)), gap)


def siren(random: Random, n: int) -> np.ndarray:
    rate = random.uniform(0.2, 4)
    wave = np.sin(2 * np.pi * rate * times(n))
    wave = np.sign(wave) if random.random() < 0.4 else wave
    return harmonics(
        random, random.uniform(500, 1200) * (1 + random.uniform(0.1, 0.4) * wave), int(random.integers(1, 8))
    )


def beeps(random: Random, n: int) -> np.ndarray:
    hertz = random.uniform(300, 2500)
    return struck(random, n, lambda r, length: harmonics(r, np.full(length, hertz), 3), random.uniform(0.8, 6))


def engine(random: Random, n: int) -> np.ndarray:
    speed = np.interp(np.linspace(0, 1, n), np.linspace(0, 1, 4), random.uniform(25, 120) * random.uniform(0.7, 1.5, 4))
    return harmonics(random, speed, 60, random.uniform(3, 9)) + random.uniform(0.1, 3) * colored(random, n, -5)


def bell(random: Random, n: int) -> np.ndarray:
    def strike(random: Random, length: int) -> np.ndarray:
        length *= 3
        root = 10 ** random.uniform(2.2, 3.2)
        parts = root * np.array([0.5, 1, 1.2, 1.5, 2, 2.7, 3.4, 4.1])
        return sum(np.sin(2 * np.pi * f * times(length)) * np.exp(-times(length) * random.uniform(1, 8)) for f in parts)

    return struck(random, n, strike, random.uniform(0.4, 4))


def melody(random: Random, n: int) -> np.ndarray:
    """A tune on a sustained instrument, some with drums."""
    root, parts = 10 ** random.uniform(2, 2.8), []
    beat = random.uniform(0.12, 0.5)
    while sum(map(len, parts)) < n:
        length = int(RATE * beat * random.choice([1, 1, 2]))
        hertz = root * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        vibrato = 1 + random.choice([0, 0.01]) * np.sin(2 * np.pi * 5.5 * times(length))
        attack = np.minimum(1, times(length) / 0.02) * np.exp(-times(length) * random.uniform(0, 6))
        parts.append(harmonics(random, hertz * vibrato, 14, 8) * attack)
    tune = np.concatenate(parts)[:n]
    if random.random() < 0.5:
        drums = np.exp(-((times(n) % beat) * 40)) * random.standard_normal(n)
        tune = tune / (tune.std() + 1e-9) + random.uniform(0.2, 1) * drums
    return tune


def notes(random: Random, n: int) -> np.ndarray:
    """Decaying notes that overlap, alone or with a pulse of noise: a piano, a guitar, a band."""

    def note(random: Random, length: int) -> np.ndarray:
        length, root = length * 3, 10 ** random.uniform(1.9, 2.9)
        parts = [
            10 ** (-random.uniform(4, 12) * np.log2(k) / 20)
            * np.sin(2 * np.pi * k * root * times(length))
            * np.exp(-times(length) * random.uniform(1, 6) * k**0.5)
            for k in range(1, int(min(25, 7800 / root)))
        ]
        return sum(parts, np.zeros(length))

    rate = random.uniform(0.5, 8)
    tune = struck(random, n, note, rate)
    if random.random() < 0.4:
        pulse = np.exp(-((times(n) * rate) % 1) * random.uniform(3, 12)) * colored(random, n, random.uniform(-6, 2))
        tune = tune / (tune.std() + 1e-9) + random.uniform(0.1, 0.8) * pulse
    return tune


def calls(random: Random, n: int) -> np.ndarray:
    """The same short call with a glide, again and again: cows, owls, toys."""
    length = int(RATE * random.uniform(0.1, 0.9))
    x = np.linspace(0, 1, length)
    glide = 1 + random.uniform(-0.4, 0.4) * x + random.uniform(-0.4, 0.4) * np.sin(np.pi * x)
    call = harmonics(random, 10 ** random.uniform(2, 3.2) * glide) * np.sin(np.pi * x) ** random.uniform(0.3, 2)
    call = call + random.uniform(0, 0.5) * call.std() * random.standard_normal(length) * np.sin(np.pi * x)
    return struck(random, n, lambda r, _: call, random.uniform(0.7, 4))


# Families that the report alone reads.
def plucked(random: Random, n: int) -> np.ndarray:
    """Strings by Karplus and Strong."""

    def string(random: Random, length: int) -> np.ndarray:
        length = length * 3
        period = int(RATE / 10 ** random.uniform(1.9, 2.8))
        burst = np.zeros(length)
        burst[:period] = random.uniform(-1, 1, period)[: len(burst)]
        loop = np.zeros(period + 2)
        loop[0], loop[period], loop[period + 1] = 1, -0.498, -0.498
        return lfilter([1], loop, burst)

    return struck(random, n, string, random.uniform(0.3, 6))


def bird(random: Random, n: int) -> np.ndarray:
    def chirp(random: Random, length: int) -> np.ndarray:
        length = int(length * 0.4)
        x = np.linspace(0, 1, length)
        hertz = random.uniform(1500, 5000) * (1 + random.uniform(-0.4, 0.4) * x + 0.1 * np.sin(2 * np.pi * 20 * x))
        return harmonics(random, hertz, 2) * np.sin(np.pi * x)

    return struck(random, n, chirp, random.uniform(1, 8))


def dog(random: Random, n: int) -> np.ndarray:
    def bark(random: Random, length: int) -> np.ndarray:
        length = int(RATE * random.uniform(0.1, 0.25))
        x = np.linspace(0, 1, length)
        voice = harmonics(random, random.uniform(250, 700) * (1 + 0.4 * np.sin(np.pi * x)), 12, 5)
        return (voice / voice.std() + random.uniform(0.3, 1) * random.standard_normal(length)) * np.sin(
            np.pi * x
        ) ** 0.5

    return struck(random, n, bark, random.uniform(0.7, 3))


def rain(random: Random, n: int) -> np.ndarray:
    drops = (random.random(n) < random.uniform(50, 2000) / RATE) * random.exponential(1, n)
    sos = butter(2, [800, 5000], "band", fs=RATE, output="sos")
    return sosfilt(sos, drops) + 0.02 * colored(random, n, -3)


def helicopter(random: Random, n: int) -> np.ndarray:
    rate = random.uniform(8, 25)
    return np.exp(-((times(n) * rate) % 1) * 6) * colored(random, n, -6) + 0.1 * colored(random, n, -3)


def fm(random: Random, n: int) -> np.ndarray:
    """Frequency modulation, as in alarms and synthesizers."""
    carrier, ratio = random.uniform(100, 1500), random.choice([0.5, 1, 1.4, 2, 3])
    depth = random.uniform(0, 6) * (0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(0.1, 5) * times(n)))
    return np.sin(2 * np.pi * carrier * times(n) + depth * np.sin(2 * np.pi * carrier * ratio * times(n)))


def arpeggio(random: Random, n: int) -> np.ndarray:
    """A plucked tune with a bass and drums."""
    total = plucked(random, n)
    beat = random.uniform(0.2, 0.6)
    bass = np.sin(2 * np.pi * random.choice([55, 65, 82]) * times(n)) * np.exp(-(times(n) % beat) * 5)
    hat = np.exp(-(times(n) % (beat / 2)) * 60) * random.standard_normal(n)
    return total / (total.std() + 1e-9) + bass + 0.4 * hat


def telephone_tone(random: Random, n: int) -> np.ndarray:
    pair = [(350, 440), (440, 480), (480, 620), (425, 425)][int(random.integers(4))]
    on, off = [(1, 0), (2, 4), (0.5, 0.5), (0.25, 0.25), (1, 1)][int(random.integers(5))]
    wave = sum(np.sin(2 * np.pi * f * times(n)) for f in pair)
    return wave * ((times(n) % (on + off)) < on)


def strings(random: Random, n: int) -> np.ndarray:
    """An ensemble: several slightly detuned saws with slow vibrato and swells, gliding between notes."""
    points = np.repeat(random.choice([0, 2, 3, 5, 7, 8, 10], 8), 2)
    notes = np.interp(np.linspace(0, 1, n), np.sort(np.append(np.linspace(0, 1, 8), np.linspace(0.1, 1, 8))), points)
    root = 10 ** random.uniform(2, 2.7)
    parts = [
        harmonics(random, root * (1 + d) * 2 ** ((notes + 0.15 * np.sin(2 * np.pi * 5 * times(n))) / 12), 20, 7)
        for d in random.normal(0, 0.004, 3)
    ]
    return sum(parts) * envelope(random, n)


CHOOSING: dict[str, Sound] = {
    f.__name__: f
    for f in (
        *(tone, sweep, chord, chords, hum, vowel, noise, band_noise, pulsed_noise, clicks, dtmf, siren, beeps, engine),
        *(bell, melody, notes, calls),
    )
}
REPORTING: dict[str, Sound] = {
    f.__name__: f for f in (plucked, bird, dog, rain, helicopter, fm, arpeggio, telephone_tone, strings)
}

FITTED = ("emodb", "ravdess", "nemo", "emotiontts_ko", "spoken_words", "spoken_orders")
UNSEEN = ("savee", "casia", "tava/recordings")
#: Recordings of a corpus that are also measured with noise, in a room and so on.
CHANGED = 100
#: Sounds of a family.
SOUNDS = 250
CHOOSING_NOISES = ("doing_the_dishes", "running_tap", "white_noise")


def made(random: Random, sound: Sound) -> np.ndarray:
    """Generate a sound of 0.4 to 8 s, some within near silence, some with noise, some through a telephone."""
    n = int(RATE * random.choice([0.4, 0.8, 1.5, 1.5, 3, 5, 8]))
    signal = sound(random, n)
    signal = 0.3 * signal / (np.abs(signal).max() + 1e-9)
    if random.random() < 0.3:
        signal = np.pad(signal, tuple(int(RATE * s) for s in random.uniform(0, 0.7, 2)))
    signal = signal + 10 ** random.uniform(-5, -1.7) * colored(random, len(signal), random.uniform(-6, 0))
    if random.random() < 0.2:
        signal = augment.Telephone()(signal.astype(np.float32), RATE, len(signal), random)
    return (signal * 10 ** random.uniform(-1.5, 0)).astype(np.float32)


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
        half = set(speakers[::2]) if fitting else set(speakers[1::2])
        paths = [path for path in paths if speaker(path) in half]

    changed = set(paths[:: max(1, len(paths) // CHANGED)])

    def one(path: Path) -> list[tuple[str, str, np.ndarray]]:
        random = np.random.default_rng(zlib.crc32(path.stem.encode()))
        signal, _ = audio.read(path, rate=RATE, channel=0)
        signal = signal[: 8 * RATE]
        found = conditions(random, signal, others) if path in changed else {"clean": signal}
        return [(str(path), key, measure(value)) for key, value in found.items()]

    with ThreadPoolExecutor(2) as pool:
        return [row for rows in pool.map(one, paths) for row in rows]


def recorded(root: Path, choosing: bool) -> dict[str, np.ndarray]:
    """Read the recorded noises for choosing, or the others."""
    paths = sorted((root / "noise").rglob("*.flac"))
    return {path.stem: audio.read(path, rate=RATE)[0] for path in paths if (path.stem in CHOOSING_NOISES) == choosing}


def other_sounds(families: dict[str, Sound], noises: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Measure sounds that are no speech: (sounds, measures) by family."""

    def family(name: str) -> np.ndarray:
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return np.array([measure(made(random, families[name])) for _ in range(SOUNDS)])

    def noise(name: str) -> np.ndarray:
        random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return np.array([measure(piece) for piece in pieces(random, noises[name], SOUNDS)])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip([*families, *noises], [*pool.map(family, families), *pool.map(noise, noises)], strict=True))


def fit(root: Path, seed: int) -> None:
    """Fit four small networks, whose mean is one network with a hidden layer, and write it beside the code."""
    noises = recorded(root, choosing=True)
    tables = [
        np.array([values for _, _, values in of_corpus(root, name, list(noises.values()), True)]) for name in FITTED
    ]
    tables += list(other_sounds(CHOOSING, noises, seed).values())
    speech = np.concatenate([np.full(len(table), number < len(FITTED)) for number, table in enumerate(tables)])
    # Corpora count the same, and families; speech as much as all else.
    counts = len(FITTED), len(tables) - len(FITTED)
    weights = np.concatenate(
        [np.full(len(table), 0.5 / len(table) / counts[number >= len(FITTED)]) for number, table in enumerate(tables)]
    )
    x = np.concatenate(tables)
    mean, scale = x[speech].mean(axis=0), x[speech].std(axis=0) + 1e-3
    x = np.clip((x - mean) / scale, -speechlike.FARTHEST, speechlike.FARTHEST)
    networks = [
        MLPClassifier((16,), activation="tanh", alpha=0.1, max_iter=300, random_state=seed + n, learning_rate_init=2e-3)
        for n in range(4)
    ]
    for network in networks:
        network.fit(x, speech, sample_weight=weights * len(x))
    content = {
        "measures": list(speechlike.MEASURES),
        "mean": mean,
        "scale": scale,
        "hidden": np.concatenate([network.coefs_[0].T for network in networks]),
        "bias": np.concatenate([network.intercepts_[0] for network in networks]),
        "output": np.concatenate([network.coefs_[1][:, 0] for network in networks]) / len(networks),
        "offset": np.mean([network.intercepts_[1][0] for network in networks]),
    }
    lists = {name: value if name == "measures" else np.round(value, 5).tolist() for name, value in content.items()}
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in lists.items())
    speechlike.WEIGHTS.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


def report(root: Path, seed: int, path: Path | None) -> None:
    """Print the share of speech that is refused, and of other sounds that are accepted."""
    noises = recorded(root, choosing=False)
    refused: dict[str, dict[str, float]] = {}
    for name in (*FITTED, *UNSEEN):
        found = of_corpus(root, name, list(noises.values()), False if name in FITTED else None)
        refused[name] = {
            key: round(100 * np.mean([not accepts(values) for _, one, values in found if one == key]), 2)
            for key in dict.fromkeys(key for _, key, _ in found)
        }
        print(
            f"{name}: {len([key for _, key, _ in found if key == 'clean'])} recordings, refused in %: {refused[name]}"
        )
    accepted = {}
    for choosing, families in ((True, CHOOSING), (False, REPORTING)):
        # Other sounds of the families than for the fit.
        found_sounds = other_sounds(families, recorded(root, choosing), seed + 1)
        shares = {name: round(100 * np.mean([*map(accepts, table)]), 1) for name, table in found_sounds.items()}
        accepted["fitted" if choosing else "not fitted"] = shares
        print(
            f"accepted in %, {'fitted' if choosing else 'not fitted'}: {shares}, mean {np.mean([*shares.values()]):.1f}"
        )
    if path:
        path.write_text(json.dumps({"refused": refused, "accepted": accepted}, indent=1) + "\n", encoding="utf-8")


def accepts(values: np.ndarray) -> bool:
    return speechlike.of_measures(values) >= speechlike.THRESHOLD


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
