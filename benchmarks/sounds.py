"""Sounds that are no speech, generated: families of which each sound is another one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from serkit import augment

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
            for k in range(1, int(min(12, 7800 / root)))
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


def crickets(random: Random, n: int) -> np.ndarray:
    """Insects: a high tone in pulses, in bursts."""
    pulses, bursts = random.uniform(15, 60), random.uniform(0.5, 4)
    wave = np.sin(2 * np.pi * random.uniform(2200, 5500) * times(n))
    return wave * np.maximum(0, np.sin(2 * np.pi * pulses * times(n))) * (np.sin(2 * np.pi * bursts * times(n)) > -0.3)


def frogs(random: Random, n: int) -> np.ndarray:
    """Croaks: trains of pulses through two resonances."""
    croak_rate, centers = random.uniform(25, 90), (random.uniform(300, 900), random.uniform(1200, 2500))

    def croak(random: Random, length: int) -> np.ndarray:
        train = (np.diff(np.floor(times(length) * croak_rate), prepend=0) > 0) * 1.0
        for center in centers:
            r = np.exp(-np.pi * 150 / RATE)
            train = lfilter([1], [1, -2 * r * np.cos(2 * np.pi * center / RATE), r * r], train)
        return train * np.hanning(length)

    return struck(random, n, croak, random.uniform(0.8, 3))


def footsteps(random: Random, n: int) -> np.ndarray:
    """Thuds and scrapes in pairs."""

    def step(random: Random, length: int) -> np.ndarray:
        thud = np.sin(2 * np.pi * random.uniform(50, 160) * times(length)) * np.exp(-times(length) * 40)
        return thud + 0.3 * random.standard_normal(length) * np.exp(-times(length) * random.uniform(20, 90))

    return struck(random, n, step, random.uniform(1, 3.5)) + 0.002 * random.standard_normal(n)


def applause(random: Random, n: int) -> np.ndarray:
    """Many hands: short bursts at random times, each with its own resonance."""
    total = np.zeros(n)
    for _ in range(int(random.integers(2, 12))):
        low = random.uniform(500, 1500)
        sos = butter(1, [low, 2.5 * low], "band", fs=RATE, output="sos")
        at = (random.random(n) < random.uniform(2, 5) / RATE) * 1.0
        decay = lfilter([1], [1, -np.exp(-1 / (0.01 * RATE))], at)
        total += sosfilt(sos, decay * random.standard_normal(n))
    return total


def typing(random: Random, n: int) -> np.ndarray:
    """Keys: two clicks for each, with a resonance."""

    def key(random: Random, length: int) -> np.ndarray:
        press = random.standard_normal(length) * np.exp(-times(length) * 300)
        release = np.roll(press, int(0.07 * RATE)) * 0.5
        return (press + release) * (1 + np.sin(2 * np.pi * random.uniform(900, 3000) * times(length)))

    return struck(random, n, key, random.uniform(2, 9)) + 0.003 * colored(random, n, -4)


def modem(random: Random, n: int) -> np.ndarray:
    """Data as two tones, as in fax and modem calls."""
    low, step = random.uniform(600, 1600), random.uniform(150, 1000)
    bits = np.repeat(random.integers(0, 2, n // 20 + 1), int(RATE / random.choice([75, 300, 800])))[:n]
    return np.sin(2 * np.pi * np.cumsum(low + step * bits) / RATE)


def morse(random: Random, n: int) -> np.ndarray:
    unit = int(RATE * random.uniform(0.04, 0.12))
    marks: list[int] = []
    while len(marks) * unit < n:
        marks += [1] * int(random.choice([1, 3])) + [0] * int(random.choice([1, 1, 1, 3, 7]))
    return np.sin(2 * np.pi * random.uniform(400, 1100) * times(n)) * np.repeat(marks, unit)[:n]


def wind(random: Random, n: int) -> np.ndarray:
    """Howling: noise through a resonance that wanders."""
    points = random.uniform(0.5, 2, max(3, int(n / RATE * 2)))
    wander = np.interp(np.linspace(0, 1, n // 160 + 1), np.linspace(0, 1, len(points)), points)
    centers = random.uniform(250, 700) * wander
    source, state, parts = random.standard_normal(n), np.zeros(2), []
    r = np.exp(-np.pi * random.uniform(20, 150) / RATE)
    for number, center in enumerate(centers):
        piece = source[160 * number : 160 * (number + 1)]
        if len(piece):
            filtered, state = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * center / RATE), r * r], piece, zi=state)
            parts.append(filtered)
    howl = np.concatenate(parts)
    return howl / (howl.std() + 1e-9) * envelope(random, n) + random.uniform(0, 0.5) * colored(random, n, -6)


def drops(random: Random, n: int) -> np.ndarray:
    """Dripping water: short tones that rise."""

    def drop(random: Random, length: int) -> np.ndarray:
        hertz = random.uniform(500, 2500) * (1 + random.uniform(0.5, 3) * times(length) / 0.1)
        return np.sin(2 * np.pi * np.cumsum(np.minimum(hertz, 7000)) / RATE) * np.exp(-times(length) * 50)

    return struck(random, n, drop, random.uniform(1, 12))


def brass(random: Random, n: int) -> np.ndarray:
    """A trumpet tune: harmonics that grow brighter with the level of each note."""
    root, parts = random.uniform(180, 450), []
    while sum(map(len, parts)) < n:
        length = int(RATE * random.choice([0.15, 0.3, 0.3, 0.6]))
        level = np.minimum(1, times(length) / 0.04) * np.minimum(1, times(length)[::-1] / 0.05)
        hertz = root * 2 ** (random.choice([0, 2, 4, 5, 7, 9, 12]) / 12)
        phase = 2 * np.pi * hertz * times(length)
        parts.append(sum(level ** (1 + k / 3) * np.sin(k * phase) / k**0.7 for k in range(1, int(7000 / hertz))))
    return np.concatenate(parts)[:n]


def wah(random: Random, n: int) -> np.ndarray:
    """A saw through a resonance that opens and closes: a synthesizer, a guitar with a pedal."""
    rate, root = random.uniform(0.5, 6), random.uniform(60, 250)
    notes = root * 2 ** (np.repeat(random.choice([0, 3, 5, 7, 10], 32), n // 32 + 1)[:n] / 12)
    opening = 0.5 + 0.5 * np.sin(2 * np.pi * rate * times(n))
    center = 300 * (random.uniform(4, 9) ** opening)
    phase, total = 2 * np.pi * np.cumsum(notes) / RATE, np.zeros(n)
    for k in range(1, 26):
        total += np.sin(k * phase) / k / (1 + ((k * notes - center) / 150) ** 2) ** 0.5
    return total


def whinny(random: Random, n: int) -> np.ndarray:
    """Horses, goats, seagulls: cries that fall, with a strong tremolo."""

    def cry(random: Random, length: int) -> np.ndarray:
        length *= 2
        x = np.linspace(0, 1, length)
        hertz = random.uniform(400, 1400) * (1 - random.uniform(0, 0.6) * x)
        tremolo = 1 - random.uniform(0.2, 1) * (0.5 + 0.5 * np.sin(2 * np.pi * random.uniform(6, 14) * times(length)))
        return harmonics(random, hertz * (0.9 + 0.1 * tremolo), 15, 4) * tremolo * np.sin(np.pi * x) ** 0.5

    return struck(random, n, cry, random.uniform(0.4, 1.5))


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


FITTED: dict[str, Sound] = {
    f.__name__: f
    for f in (
        *(tone, sweep, chord, chords, hum, vowel, noise, band_noise, pulsed_noise, clicks, dtmf, siren, beeps, engine),
        *(bell, melody, notes, calls, plucked, bird, dog, rain, helicopter, fm, arpeggio, telephone_tone, strings),
    )
}

#: Families that only the report reads.
REPORTED: dict[str, Sound] = {
    f.__name__: f for f in (crickets, frogs, footsteps, applause, typing, modem, morse, wind, drops, brass, wah, whinny)
}
