"""Sounds that count as speech: syllables of a gliding voice, with hissing between them."""

import numpy as np


def syllables(seconds, level, seed=0, rate=16000):
    """Return float64 samples with about this RMS, clipped at full scale; the seed draws hissing and melody."""
    rng, time = np.random.default_rng(seed), np.arange(round(rate * seconds)) / rate
    melody = 150 * np.exp(0.2 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)) + 0.1 * np.sin(20 * time))
    phase = 2 * np.pi * np.cumsum(melody) / rate
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 30))
    hissing = np.diff(rng.normal(0, 0.3, len(time)), prepend=0)
    opening, closing = (np.clip(np.sin(2 * np.pi * 2.2 * time + shift), 0, None) for shift in (0, 2.5))
    samples = voice * opening + hissing * closing
    return np.clip(samples * level / samples.std(), -1, 1)
