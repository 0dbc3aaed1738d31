"""A source-filter model of emotional speech, with electroglottogram (EGG) and true F0.

Glottal cycles drive vocal-tract resonances that glide through a fixed sequence of syllables (Fant 1960).
Speakers differ in F0, tract length, tempo and voice quality. Emotions shift F0 level and range, tempo,
loudness and voice quality in published directions (see `MANNERS`).
"""

from __future__ import annotations

import zlib
from dataclasses import astuple, dataclass

import numpy as np

from serkit.errors import UserError, unknown

RATE = 16000
#: Samples between two values of every contour: 10 ms.
HOP = 160
# Increase this whenever the same seed no longer gives the same samples.
VERSION = 1


@dataclass(frozen=True)
class Take:
    """One utterance with its ground truth.

    Args:
        speech: float32 samples of shape (samples,), full scale 1.0.
        egg: vocal-fold contact of the same take, aligned with `speech`; more contact is more positive.
        rate: sampling rate of both, in Hz.
        f0: intended F0 contour in Hz, shape (samples // 160,); value `i` belongs to time `i` * 10 ms; 0 if unvoiced.
            Individual cycles deviate from it by the jitter.
    """

    speech: np.ndarray
    egg: np.ndarray
    rate: int
    f0: np.ndarray


@dataclass(frozen=True)
class Manner:
    """Deviations of a speaking style from neutral; scaling them all makes the style weaker or stronger.

    Args:
        pitch: change of the mean F0, in semitones.
        span: change of the F0 excursions, in powers of 2.
        pace: change of the tempo, in powers of 2.
        level: change of the level, in dB.
        tilt: change of the level at 3 kHz, in dB; negative means more energy at high frequencies.
        open: change of the open quotient; negative means a tense voice.
        breath: change of the noise at the glottis, in dB.
        jitter: deviation of individual cycles, as a share of the period.
        tremor: depth of a 6 Hz tremor, in semitones.
        rise: F0 change over the last third, in semitones; positive means upward.
        smile: change of the formants (shorter tract), in powers of 2.
    """

    pitch: float = 0.0
    span: float = 0.0
    pace: float = 0.0
    level: float = 0.0
    tilt: float = 0.0
    open: float = 0.0
    breath: float = 0.0
    jitter: float = 0.0
    tremor: float = 0.0
    rise: float = 0.0
    smile: float = 0.0


#: Directions of F0, tempo and level follow Juslin & Laukka 2003 (Psychological Bulletin 129) for anger,
#: fear, happiness and sadness, Murray & Arnott 1993 (JASA 93) for disgust, and Scherer & Oshinsky 1977
#: (Motivation and Emotion 1) for surprise. The amounts and part of the voice quality are serkit's choice.
MANNERS = {
    # pitch, span, pace, level, tilt, open, breath, jitter, tremor, rise, smile
    "anger": Manner(4, 0.6, 0.15, 8, -8, -0.12, -2, 0.008, 0, 1, 0),
    "disgust": Manner(-2, 0.2, -0.3, -2, 0, -0.1, 0, 0.015, 0, -2, -0.05),
    "fear": Manner(5, -0.6, 0.25, -3, 2, 0.06, 6, 0.01, 0.5, 1, 0),
    "happiness": Manner(4, 0.7, 0.15, 5, -3, -0.02, 0, 0, 0, 1, 0.09),
    "neutral": Manner(),
    "sadness": Manner(-2, -0.7, -0.35, -6, 5, 0.12, 7, 0.004, 0.15, -1, 0),
    "surprise": Manner(6, 0.7, 0, 1, 0, 0.08, 5, 0, 0, 8, 0.03),
}

#: Standard deviation between takes; it makes the emotions overlap.
_SPREAD = Manner(1, 0.2, 0.07, 1.5, 1.2, 0.03, 1.5, 0.002, 0.05, 1, 0.015)
# Range of the share of `MANNERS` that a take expresses; some takes are half-hearted.
_STRENGTH = (0.7, 1.2)

# In dB of full scale: voiced neutral speech (RMS), and room noise.
_LEVEL = -29.0
_ROOM = -75.0
_EGG_LEVEL = 0.35


@dataclass(frozen=True)
class _Voice:
    """Properties that are constant over all takes of a speaker.

    Args:
        f0: mean F0 of neutral speech in Hz.
        tract: factor of the formants of a 17.5 cm vocal tract.
        tempo: factor of the tempo of the average speaker.
        open_quotient: share of a cycle in which the glottis is open.
        tilt: attenuation at 3 kHz in dB, in addition to the pulse's own.
        breath: noise at the glottis in dB of the derivative of the flow.
    """

    f0: float
    tract: float
    tempo: float
    open_quotient: float
    tilt: float
    breath: float


@dataclass(frozen=True)
class _Sound:
    """A part of a syllable: formants in Hz, amplitudes of voice and noise, center of the noise in Hz."""

    seconds: float
    formants: tuple[float, float, float]
    voicing: float = 0.0
    noise: float = 0.0
    noise_at: float = 2000.0


_PAUSE = _Sound(0.14, (500, 1500, 2500))
# Vowels: means of the men in Peterson & Barney 1952. Close vowels are stronger, or they would vanish.
_VOWELS = {
    "a": _Sound(0.15, (730, 1090, 2440), 1.0),
    "e": _Sound(0.14, (530, 1840, 2480), 1.0),
    "i": _Sound(0.13, (270, 2290, 3010), 1.3),
    "o": _Sound(0.15, (570, 840, 2410), 1.0),
    "u": _Sound(0.14, (300, 870, 2240), 1.5),
}
_CONSONANTS = {
    "p": (_Sound(0.06, (350, 800, 2200)), _Sound(0.02, (350, 800, 2200), 0, 0.25, 900)),
    "t": (_Sound(0.05, (350, 1750, 2650)), _Sound(0.025, (350, 1750, 2650), 0, 0.4, 4500)),
    "k": (_Sound(0.05, (350, 1900, 2300)), _Sound(0.03, (350, 1900, 2300), 0, 0.35, 2000)),
    "s": (_Sound(0.09, (350, 1650, 2650), 0, 0.3, 6200),),
    "f": (_Sound(0.08, (350, 1000, 2200), 0, 0.12, 3500),),
    "d": (_Sound(0.045, (250, 1750, 2650), 0.15), _Sound(0.015, (300, 1750, 2650), 0.2, 0.15, 4200)),
    "g": (_Sound(0.045, (250, 1900, 2300), 0.15), _Sound(0.02, (300, 1900, 2300), 0.2, 0.15, 2000)),
    "m": (_Sound(0.07, (260, 1000, 2200), 0.35),),
    "n": (_Sound(0.06, (260, 1500, 2600), 0.35),),
    "l": (_Sound(0.06, (360, 1200, 2700), 0.5),),
}

#: Syllables of sentences 1, 2, ...; accented syllables are in capitals.
SENTENCES = (
    "ma NO ti ke LA su",
    "da lo PI na se MU ka",
    "so KE mi fa no LI",
    "ni TA go me lu SA pe",
    "lo fi NE ka DU mo",
    "pa mi SO le ta NI go",
    "ke LU na do si MA",
    "tu ne FA li mo KE sa",
)


def utterance(speaker: int, sentence: int, emotion: str, take: int = 1, seed: int = 0) -> Take:
    """Synthesize one utterance; the same arguments give the same samples.

    Raises:
        UserError: the emotion or sentence is unknown, a number is below 1, or the seed is negative.
    """
    check(speaker, sentence, emotion, take, seed)
    rng = np.random.default_rng([seed, speaker, sentence, take, zlib.crc32(emotion.encode())])
    voice, manner = _voice(speaker, seed), _perform(emotion, rng)
    score = _articulate(SENTENCES[sentence - 1], voice.tempo * 2**manner.pace, rng)
    f0 = voice.f0 * 2 ** (_melody(score, manner, rng) / 12)
    open_quotient = float(np.clip(voice.open_quotient + manner.open, 0.35, 0.85))
    flow, contact = _glottis(f0, open_quotient, max(0.005 + manner.jitter, 0.0), rng)

    voicing = _per_sample(score.voicing)
    source = np.diff(flow, prepend=flow[0]) * voicing  # lip radiation differentiates
    breath = 10 ** ((voice.breath + manner.breath) / 20) * source.std()
    # Turbulence is strongest while the glottis is open.
    source += breath * (0.3 + flow) * voicing * rng.standard_normal(len(flow))
    tract = _tract(score.formants, voice.tract * 2**manner.smile, voice.tilt + manner.tilt)
    speech = _filter(source, tract)
    speech /= speech[voicing > 0].std()
    hiss = np.diff(rng.standard_normal(len(flow) + 1)) * _per_sample(score.noise)
    speech += _filter(hiss, _resonances(score.noise_at[:, None], 0.3 * score.noise_at[:, None]), unit="power")
    speech *= 10 ** ((_LEVEL + manner.level) / 20)
    speech += 10 ** (_ROOM / 20) * rng.standard_normal(len(speech))
    speech *= min(1.0, 0.95 / np.abs(speech).max())

    # Contact hardly depends on the strength of the voice, only on whether it is present.
    egg = _EGG_LEVEL * contact * np.minimum(4 * voicing, 1) + _larynx_movement(len(speech), rng)
    truth = np.where(score.voicing > 0, f0, 0.0)
    return Take(speech.astype(np.float32), egg.astype(np.float32), RATE, truth)


def sex(speaker: int) -> str:
    return "female" if speaker % 2 == 0 else "male"


def _voice(speaker: int, seed: int) -> _Voice:
    rng = np.random.default_rng([seed, speaker])
    female = sex(speaker) == "female"
    return _Voice(
        f0=rng.uniform(180, 225) if female else rng.uniform(95, 130),
        tract=rng.uniform(1.12, 1.2) if female else rng.uniform(0.96, 1.04),
        tempo=rng.uniform(0.94, 1.06),
        open_quotient=rng.uniform(0.56, 0.64) if female else rng.uniform(0.5, 0.58),
        tilt=rng.uniform(7, 10) if female else rng.uniform(6, 9),
        breath=rng.uniform(-24, -18) if female else rng.uniform(-28, -20),
    )


def _perform(emotion: str, rng: np.random.Generator) -> Manner:
    mean, spread = np.array(astuple(MANNERS[emotion])), np.array(astuple(_SPREAD))
    return Manner(*(rng.uniform(*_STRENGTH) * mean + spread * rng.standard_normal(len(mean))))


@dataclass(frozen=True)
class _Score:
    """Articulation, one row per 10 ms; `accent` is 1 in the vowel of an accented syllable."""

    formants: np.ndarray
    voicing: np.ndarray
    noise: np.ndarray
    noise_at: np.ndarray
    accent: np.ndarray


def _articulate(sentence: str, tempo: float, rng: np.random.Generator) -> _Score:
    """Place the sounds of a sentence in time, with formants that glide from one to the next."""
    sounds, accents = [], []
    for syllable in sentence.split():
        onset = _CONSONANTS[syllable[0].lower()]
        sounds += [*onset, _VOWELS[syllable[1].lower()]]
        accents += [0.0] * len(onset) + [float(syllable.isupper())]
    seconds = np.array([sound.seconds for sound in sounds]) * (1 + 0.2 * np.array(accents)) / tempo
    seconds *= np.exp(0.08 * rng.standard_normal(len(sounds)))
    seconds[-1] *= 1.3  # speakers lengthen the last syllable
    sounds, accents = [_PAUSE, *sounds, _PAUSE], [0.0, *accents, 0.0]
    seconds = np.concatenate([[_PAUSE.seconds], seconds, [_PAUSE.seconds]])

    times = np.arange(int(seconds.sum() * RATE / HOP)) * HOP / RATE
    which = np.minimum(np.searchsorted(np.cumsum(seconds), times, side="right"), len(sounds) - 1)
    accent = np.array(accents)[which]
    formants = np.array([sound.formants for sound in sounds], dtype=float)
    formants *= np.exp(0.03 * rng.standard_normal(formants.shape))  # no speaker hits a target exactly
    voicing = np.array([sound.voicing for sound in sounds])[which]
    return _Score(
        formants=np.stack([_smooth(track, 9) for track in formants[which].T], axis=1),
        voicing=np.where(voicing > 0, _smooth(voicing * (1 + 0.25 * accent), 3), 0.0),
        noise=np.array([sound.noise for sound in sounds])[which],
        noise_at=np.array([sound.noise_at for sound in sounds])[which],
        accent=accent,
    )


def _melody(score: _Score, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    """Return the F0 contour in semitones above the speaker's mean, shape (frames,)."""
    voiced = np.flatnonzero(score.voicing)
    time = np.arange(len(score.voicing))
    position = np.clip((time - voiced[0]) / (voiced[-1] - voiced[0]), 0, 1)
    wander = sum(np.sin(2 * np.pi * (rng.uniform(0.5, 2) * position + rng.uniform())) for _ in range(2))
    excursion = 2 * (1 - 2 * position) + 5 * _smooth(score.accent, 21) + 0.4 * wander
    melody = 2**manner.span * excursion + manner.rise * np.maximum(position - 2 / 3, 0) * 3
    melody += manner.tremor * np.sin(2 * np.pi * (6 * time * HOP / RATE + rng.uniform()))
    melody += manner.pitch - melody[voiced].mean()
    # A voice reaches about an octave above and below its mean.
    values: np.ndarray = 12 * np.tanh(melody / 12)
    return values


def _glottis(
    f0: np.ndarray, open_quotient: float, jitter: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return airflow (Rosenberg 1971, trigonometric pulse) and vocal-fold contact of the same cycles.

    Args:
        f0: in Hz, shape (frames,).
        open_quotient: share of a cycle in which the glottis is open; a cycle starts with the opening.
        jitter: standard deviation of the start of a cycle, as a share of the period.

    Returns:
        flow, 0 to about 1, and contact, of mean 0 and range about 1, of shape (frames * HOP,).
    """
    phase = np.cumsum(_per_sample(f0)) / RATE
    sample = np.arange(len(phase))
    begins = np.interp(np.arange(int(phase[-1]) + 1), phase, sample)
    begins += jitter * np.gradient(begins) * rng.standard_normal(len(begins))
    phase = np.interp(sample, begins, np.arange(len(begins)))
    cycle = phase.astype(int)
    position = phase - cycle
    loudness = 1 + 0.05 * rng.standard_normal(len(begins))[cycle]  # shimmer

    peak = 0.65 * open_quotient
    opening = 0.5 - 0.5 * np.cos(np.pi * position / peak)
    closing = np.cos(0.5 * np.pi * (position - peak) / (open_quotient - peak))
    flow = np.where(position < peak, opening, np.where(position < open_quotient, closing, 0.0))

    # The folds close fast, fastest when the flow stops, and separate slowly until the next cycle.
    rise = 0.12
    touch = (position - open_quotient + rise / 2) % 1
    fall = 1 - open_quotient - rise / 2
    meeting = 0.5 - 0.5 * np.cos(np.pi * touch / rise)
    parting = 0.5 + 0.5 * np.cos(np.pi * (touch - rise) / fall)
    contact = np.where(touch < rise, meeting, np.where(touch < rise + fall, parting, 0.0))
    return loudness * flow, loudness * (contact - (rise + fall) / 2)


def _tract(formants: np.ndarray, scale: float, tilt: float) -> np.ndarray:
    """Return all-pole vocal tract and spectral tilt: polynomials in z^-1 of shape (frames, 16).

    Args:
        formants: formants 1 to 3 of a tract of 17.5 cm, in Hz, shape (frames, 3).
        scale: factor of all formants.
        tilt: attenuation at 3 kHz in dB, with one pole as in Klatt & Klatt 1990.
    """
    # Above the third, formants are close to those of a uniform tube.
    higher = np.broadcast_to([3500.0, 4500.0, 5500.0, 6500.0], (len(formants), 4))
    frequencies = np.hstack([formants, higher]) * scale
    polynomial = _resonances(frequencies, 50 + 0.04 * frequencies)
    # |H|^2 = (1 - pole)^2 / (1 - 2 pole cos w + pole^2) = 1 / ratio at 3 kHz, solved for the pole.
    ratio = 10 ** (max(tilt, 0.1) / 10)
    middle = (ratio - np.cos(2 * np.pi * 3000 / RATE)) / (ratio - 1)
    pole = middle - np.sqrt(middle**2 - 1)
    return _multiply(polynomial, np.broadcast_to([1.0, -pole], (len(formants), 2)))


def _resonances(frequencies: np.ndarray, bandwidths: np.ndarray) -> np.ndarray:
    """Return the denominator of a cascade of resonators, in Hz (frames, n), as polynomials (frames, 2 n + 1)."""
    radius = np.exp(-np.pi * bandwidths / RATE)
    linear = -2 * radius * np.cos(2 * np.pi * frequencies / RATE)
    polynomial = np.ones((len(frequencies), 1))
    for first, second in zip(linear.T, radius.T**2, strict=True):
        polynomial = _multiply(polynomial, np.stack([np.ones_like(first), first, second], axis=1))
    return polynomial


def _multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Multiply polynomials row by row."""
    product = np.zeros((len(left), left.shape[1] + right.shape[1] - 1))
    for power in range(right.shape[1]):
        product[:, power : power + left.shape[1]] += left * right[:, power : power + 1]
    return product


def _filter(signal: np.ndarray, denominator: np.ndarray, unit: str = "dc") -> np.ndarray:
    """Filter by 1 / denominator, which changes every 10 ms, by overlap-add of windowed blocks.

    Args:
        signal: shape (frames * HOP,).
        denominator: polynomials in z^-1, shape (frames, order + 1).
        unit: signal whose gain is 1: `dc`, or `power` (white noise keeps its level).
    """
    parts = 7  # HOPs per block: 20 ms of signal and 50 ms for the resonances to die away
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2 * HOP) / (2 * HOP))
    blocks = np.lib.stride_tricks.sliding_window_view(np.pad(signal, HOP), 2 * HOP)[::HOP][: len(denominator)]
    response = 1 / np.fft.rfft(denominator, parts * HOP)
    gain = response[:, 0].real if unit == "dc" else np.sqrt((np.abs(response) ** 2).mean(axis=1))
    filtered = np.fft.irfft(np.fft.rfft(blocks * window, parts * HOP) * response / gain[:, None], parts * HOP)
    filtered = filtered.reshape(len(denominator), parts, HOP)
    output = np.zeros((len(denominator) + parts - 1, HOP))
    for part in range(parts):
        output[part : part + len(denominator)] += filtered[:, part]
    return output.ravel()[HOP : HOP + len(signal)]


def _larynx_movement(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return slow drift and noise of an EGG."""
    time = np.arange(samples) / RATE
    drift = sum(
        rng.uniform(0.02, 0.06) * np.sin(2 * np.pi * (rng.uniform(0.3, 1.5) * time + rng.uniform())) for _ in range(2)
    )
    return drift + 0.002 * rng.standard_normal(samples)


def _per_sample(track: np.ndarray) -> np.ndarray:
    """Interpolate from one value per 10 ms to one per sample."""
    values: np.ndarray = np.interp(np.arange(len(track) * HOP) / HOP, np.arange(len(track)), track)
    return values


def _smooth(track: np.ndarray, width: int) -> np.ndarray:
    """Return the weighted moving mean over an odd number of frames."""
    weights = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(track, width // 2, mode="edge"), weights / weights.sum(), mode="valid")


def check(speaker: int, sentence: int, emotion: str, take: int, seed: int) -> None:
    """Check the arguments of an utterance.

    Raises:
        UserError: the emotion is unknown, or a number is out of range.
    """
    if emotion not in MANNERS:
        raise unknown("emotion", emotion, MANNERS)
    if not 1 <= sentence <= len(SENTENCES):
        raise UserError(f"sentence must be from 1 to {len(SENTENCES)}, got {sentence}")
    for name, number, least in [("speaker", speaker, 1), ("take", take, 1), ("seed", seed, 0)]:
        if number < least:
            raise UserError(f"{name} must be at least {least}, got {number}")
