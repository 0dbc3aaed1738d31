"""Generated voices between pauses, which a voice activity detector finds."""

import numpy as np


def voice(seconds, rate, pitch=120.0, level=0.2):
    """A buzz that swells four times a second: float32 (samples,)."""
    time = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * pitch * number * time) / number for number in range(1, 20))
    return (level * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def scene(rate=16000):
    """Three voices, 0.5 to 2.2 s, 3.0 to 3.9 s and 4.1 to 5.6 s of 6.63 s: float32 (samples,)."""
    silence = [np.zeros(round(seconds * rate), dtype=np.float32) for seconds in (0.5, 0.8, 0.2, 1.03)]
    voices = [voice(1.7, rate), voice(0.9, rate, 210, 0.1), voice(1.5, rate, 90, 0.4)]
    return np.concatenate([silence[0], voices[0], silence[1], voices[1], silence[2], voices[2], silence[3]])
