"""Signal-to-noise ratio of a recording, estimated from the recording alone."""

from __future__ import annotations

from functools import cache

import numpy as np

#: Shape of the gamma distribution of the magnitudes of clean speech (Kim & Stern 2008).
SHAPE = 0.4

#: Range of the estimates in dB, and the step of the table. In real speech with less noise, pauses and the manner of
#: speaking matter more than the noise (`benchmarks/snr_estimate.py`).
LOWEST, HIGHEST, STEP = -10.0, 30.0, 2.0

# Number of equally probable values of speech and of noise; means are taken over their combinations.
_SPEECH, _NOISE = 1000, 101


def wada_snr(signal: np.ndarray) -> float:
    """Return the signal-to-noise ratio in dB, `LOWEST` to `HIGHEST`; NaN without sound.

    Waveform amplitude distribution analysis: samples of clean speech are assumed to be symmetric and gamma distributed
    with shape 0.4, and noise to be Gaussian. More noise makes the difference between the logarithm of the mean
    magnitude and the mean of its logarithms smaller. Long pauses make the estimate too high (20 dB become 32 if half of
    a recording is pause), noise that is not Gaussian (other voices) counts as speech, and digital silence is left out.

    Source: Kim & Stern, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution
    analysis", Interspeech 2008. Its table is computed here, by quadrature.

    Args:
        signal: float32 (samples,).
    """
    # As quiet as rounding; digital silence has no information about the noise of a room.
    magnitudes = np.abs(signal.astype(np.float64) - np.mean(signal, dtype=np.float64))
    magnitudes = magnitudes[magnitudes > 1e-7]
    if not len(magnitudes):
        return float("nan")
    found = np.log(magnitudes.mean()) - np.log(magnitudes).mean()
    ratios, statistics = _table()
    return float(np.interp(found, statistics, ratios))


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """Return ratios in dB, and the statistic of speech with noise at each ratio, both increasing."""
    from scipy import special

    speech = special.gammaincinv(SHAPE, (np.arange(_SPEECH) + 0.5) / _SPEECH)
    noise = special.ndtri((np.arange(_NOISE) + 0.5) / _NOISE)
    # Midpoints cut off the tails, so powers are those of the rest.
    speech /= np.sqrt(np.mean(speech**2))
    noise /= np.sqrt(np.mean(noise**2))
    ratios = np.arange(LOWEST, HIGHEST + STEP / 2, STEP)
    statistics = []
    for level in 10 ** (-ratios / 20):
        mixed = np.abs(speech[:, None] + level * noise)
        statistics.append(np.log(mixed.mean()) - np.log(mixed).mean())
    return ratios, np.maximum.accumulate(statistics)
