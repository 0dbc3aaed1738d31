"""The recogniser: a file or a signal in, probabilities out."""

from __future__ import annotations

import itertools
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from serkit import audio
from serkit.errors import UserError
from serkit.recognition.bundle import Bundle, BundleError, find
from serkit.recognition.session import open_session, reason
from serkit.recognition.windows import cut, windows

Channel = int | Literal["egg"] | None

#: Windows run at once: enough to keep the processor busy, few enough for an hour of sound.
BATCH = 16

#: How far probabilities may be from adding up to 1: rounding of float32, or of 8-bit weights.
_SUM_TOLERANCE = 1e-3

# Python's record of warnings belongs to the process: two threads would collect each other's.
_COLLECTING = threading.Lock()


@dataclass(frozen=True)
class Prediction:
    """What was recognised in one recording.

    Args:
        file: its path as it was given; `signal` for samples.
        label: the most probable label; empty if the bundle gives numbers.
        confidence: its probability; 0 if the bundle gives numbers.
        probabilities: label -> probability, in the bundle's order; empty if it gives numbers.
        duration: of the recording in s.
        warnings: what looked wrong with it: silent, truncated.
        values: name -> number, in the bundle's order and the units of the labels it has learned from; empty if
            the bundle gives probabilities.
    """

    file: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    duration: float
    warnings: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A recording that could not be used, and why."""

    file: str
    error: str


def load(name: str | Path = "default", threads: int = 1) -> Recognizer:
    """Make a recogniser.

    Args:
        name: of a bundle, or the path of its folder.
        threads: processor threads the network may use.

    Raises:
        UserError: no such bundle, or a broken one.
    """
    return Recognizer(Bundle.load(find(name)), threads)


class Recognizer:
    """A bundle, ready to run.

    A channel is an index from 0, which every input of the network then reads, `"egg"`, or None: what the
    bundle was made for. Speech is the mean of all channels. The electroglottograph is channel 1 of a file
    that has two, and speech then its channel 0; with `"egg"` it may also be a file of its own, if the bundle
    listens to nothing else.

    Args:
        bundle: what to run.
        threads: processor threads the network may use.

    Raises:
        BundleError: the network cannot be loaded, or does not fit the bundle's description.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self.bundle = bundle
        self._threads = threads
        self._features = bundle.features()
        self._channels = {entry.name: entry.channel for entry in bundle.inputs}
        self._session = open_session(bundle, self._features, threads)

    def __call__(self, path: str | Path, channel: Channel = None) -> Prediction:
        return self.predict_file(path, channel)

    def predict_file(self, path: str | Path, channel: Channel = None) -> Prediction:
        """Recognise a recording, reading it window by window.

        Raises:
            AudioError: it cannot be read, has no such channel, or the network fails on it.
            UserError: the bundle does not listen to such a channel.
            BundleError: what the network gives is not probabilities.
        """
        self.check_channel(channel)

        def read(rate: int, index: int | None) -> Iterator[np.ndarray]:
            return windows(path, self.bundle.windowing, rate, index)

        with _audio_warnings() as texts:
            info = audio.info(path)
            channels = self._choose_channels(str(path), info.channels, channel)
            prediction = self._predict(str(path), info.duration, channels, read)
        return replace(prediction, warnings=tuple(texts))

    def predict_signal(self, signal: np.ndarray, rate: int, channel: Channel = None) -> Prediction:
        """Recognise samples.

        Args:
            signal: (samples,) or (samples, channels); floats of full scale 1.0, or integers of up to 32
                bits, whose full scale is that of their type.
            rate: in Hz.
            channel: as for a file.

        Raises:
            UserError: empty, non-finite, or of a wrong shape or type.
        """
        self.check_channel(channel)
        samples = _as_samples(signal, rate)
        duration = len(samples) / rate

        def read(wanted: int, index: int | None) -> Iterator[np.ndarray]:
            mono = samples.mean(axis=1) if index is None else np.ascontiguousarray(samples[:, index])
            return cut([audio.resample(mono, rate, wanted)], wanted, duration, self.bundle.windowing)

        with _audio_warnings() as texts:
            channels = self._choose_channels("signal", samples.shape[1], channel)
            prediction = self._predict("signal", duration, channels, read)
        return replace(prediction, warnings=tuple(texts))

    def predict_files(
        self, paths: Iterable[str | Path], channel: Channel = None, jobs: int = 1
    ) -> Iterator[Prediction | Failure]:
        """Recognise many recordings, one after the other, in memory that does not grow with their number.

        Args:
            paths: recordings.
            channel: of every recording.
            jobs: processes at work; results keep the order of the paths.

        Returns:
            One `Prediction` or, where a recording cannot be used, `Failure` per path.

        Raises:
            UserError: at once, if the bundle does not listen to such a channel.
            BundleError: what the network gives is not probabilities, or a process has ended.
        """
        self.check_channel(channel)
        if jobs > 1:
            return _in_processes(self.bundle.folder, self._threads, paths, channel, jobs)
        return (self._attempt(path, channel) for path in paths)

    def check_channel(self, channel: Channel) -> None:
        """Raise UserError if no recording whatever could be recognised with this channel."""
        if isinstance(channel, str) and channel != "egg":
            raise UserError(f"channel '{channel}': neither a number from 0 nor 'egg'")
        if channel == "egg" and "egg" not in self._channels.values():
            raise UserError(f"bundle '{self.bundle.name}' listens to speech only: channel 'egg' is not for it")

    def _attempt(self, path: str | Path, channel: Channel) -> Prediction | Failure:
        try:
            return self.predict_file(path, channel)
        except BundleError:  # every other recording would fail as well
            raise
        except UserError as error:
            return Failure(str(path), str(error))
        except OSError as error:
            return Failure(str(path), f"{path}: {error.strerror or error}")

    @property
    def _hears_egg_only(self) -> bool:
        return set(self._channels.values()) == {"egg"}

    def _choose_channels(self, name: str, count: int, channel: Channel) -> dict[str, int | None]:
        """Return the channel index (None: the mean of all) each input reads."""
        if isinstance(channel, int):
            if not 0 <= channel < count:
                raise audio.AudioError(f"{name}: no channel {channel}; it has {count}, counted from 0")
            return dict.fromkeys(self._channels, channel)
        if "egg" not in self._channels.values():
            return dict.fromkeys(self._channels, None)
        if channel == "egg" and count == 1 and self._hears_egg_only:
            return dict.fromkeys(self._channels, 0)
        if count != 2:
            alone = " If the file is nothing but that, name channel 'egg'." if self._hears_egg_only else ""
            raise audio.AudioError(
                f"{name}: has {count} channel(s); bundle '{self.bundle.name}' reads the electroglottograph "
                f"from channel 1 of two.{alone} If it is in another, give that one's number"
            )
        return {entry: 1 if kind == "egg" else 0 for entry, kind in self._channels.items()}

    def _predict(
        self,
        name: str,
        duration: float,
        channels: dict[str, int | None],
        read: Callable[[int, int | None], Iterator[np.ndarray]],
    ) -> Prediction:
        """Average over the windows; `read(rate, channel index)` yields their samples."""
        # Inputs that hear the same samples share one reading.
        sources = {entry: (feature.rate, channels[entry]) for entry, feature in self._features.items()}
        order = list(dict.fromkeys(sources.values()))
        peak = 0.0

        def examples() -> Iterator[list[np.ndarray]]:
            nonlocal peak
            # Not strict: of a truncated recording one rate may give a last window the other does not.
            for heard in zip(*(read(*source) for source in order), strict=False):
                peak = max(peak, *(float(np.abs(window).max()) for window in heard))
                samples = dict(zip(order, heard, strict=True))
                yield [feature(samples[sources[entry]]) for entry, feature in self._features.items()]

        total = np.zeros(len(self.bundle.outputs))
        count = 0
        for batch in _batches(examples()):
            total += self._run(name, batch).sum(axis=0, dtype=np.float64)
            count += len(batch[0])
        if count == 0:
            raise audio.AudioError(f"{name}: too short: nothing is left of {duration:g} s after resampling")
        if peak < audio.SILENCE_PEAK:
            text = f"{name}: silent (no sample above -96 dB of full scale)"
            warnings.warn(text, audio.AudioWarning, stacklevel=4)
        mean = dict(zip(self.bundle.outputs, (total / count).tolist(), strict=True))
        if self.bundle.numbers:
            return Prediction(name, "", 0.0, {}, duration, values=mean)
        label = max(mean, key=mean.__getitem__)
        return Prediction(name, label, mean[label], mean, duration)

    def _run(self, name: str, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Run the network on (batch, ...) arrays in the inputs' order: (batch, outputs)."""
        try:
            [result] = self._session.run([self.bundle.output], dict(zip(self._features, batch, strict=True)))
        except Exception as error:  # onnxruntime's errors have no class of their own in common
            raise audio.AudioError(f"{name}: the network fails on it ({reason(error)})") from None
        wanted = (len(batch[0]), len(self.bundle.outputs))
        if result.shape != wanted:
            raise BundleError(f"{self.bundle.model_path}: its output has shape {result.shape}; {wanted} is wanted")
        if self.bundle.numbers:
            if not np.isfinite(result).all():
                raise BundleError(f"{self.bundle.model_path}: what it gives for {name} is not finite")
        # Written so that a sum that is no number fails too.
        elif not np.abs(result.sum(axis=1) - 1).max() <= _SUM_TOLERANCE:
            raise BundleError(f"{self.bundle.model_path}: the probabilities of {name} do not add up to 1")
        return result


def _batches(examples: Iterable[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Join neighbours of equal shapes into (batch, ...) arrays, one per input."""

    def shapes(example: list[np.ndarray]) -> list[tuple[int, ...]]:
        return [array.shape for array in example]

    for _, equal in itertools.groupby(examples, key=shapes):
        while batch := list(itertools.islice(equal, BATCH)):
            yield [np.stack(arrays) for arrays in zip(*batch, strict=True)]


def _as_samples(signal: np.ndarray, rate: int) -> np.ndarray:
    """Check samples, and turn them into float32 (samples, channels) of full scale 1.0."""
    signal = np.asarray(signal)
    if rate <= 0:
        raise UserError(f"signal: a rate of {rate} Hz cannot be")
    if signal.ndim not in (1, 2):
        raise UserError(f"signal: shape {signal.shape}; (samples,) or (samples, channels) is wanted")
    if signal.size == 0:
        raise UserError(f"signal: no samples in it (shape {signal.shape})")
    if signal.ndim == 2 and signal.shape[1] > signal.shape[0]:
        raise UserError(f"signal: shape {signal.shape} has more channels than samples; transpose it")
    kind, bits = signal.dtype.kind, 8 * signal.dtype.itemsize
    if kind in "iu" and bits <= 32:
        half = 2.0 ** (bits - 1)
        signal = (signal - (half if kind == "u" else 0.0)) / half
    elif kind != "f":
        raise UserError(f"signal: samples of type {signal.dtype}; floats or integers of up to 32 bits are wanted")
    if not np.isfinite(signal).all():
        raise UserError(f"signal: not a number or infinite at sample {int(np.argmin(np.isfinite(signal)))}")
    return signal.astype(np.float32, copy=False).reshape(len(signal), -1)


@contextmanager
def _audio_warnings() -> Iterator[list[str]]:
    """Keep AudioWarnings from being shown; the list holds their texts once the block is over."""
    texts: list[str] = []
    with _COLLECTING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", audio.AudioWarning)
        yield texts
    for warning in caught:
        if not issubclass(warning.category, audio.AudioWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        elif str(warning.message) not in texts:
            texts.append(str(warning.message))


def _in_processes(
    folder: Path, threads: int, paths: Iterable[str | Path], channel: Channel, jobs: int
) -> Iterator[Prediction | Failure]:
    """Predict in several processes, a few recordings ahead of the one that is asked for."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    # Spawned on every system: a fork would copy the network's threads in whatever state they are.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(folder, threads))
    try:
        waiting: deque = deque()
        for path in paths:
            waiting.append(pool.submit(_predict_in_worker, path, channel))
            if len(waiting) > 4 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise BundleError(
            f"{folder}: a process that recognises has ended (out of memory?); use one job. In a script, "
            "several jobs need `if __name__ == '__main__':`"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: Recognizer | None = None


def _start_worker(folder: Path, threads: int) -> None:
    global _worker
    # Ctrl-C reaches every process of a terminal; the parent alone answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = load(folder, threads)


def _predict_in_worker(path: str | Path, channel: Channel) -> Prediction | Failure:
    assert _worker is not None
    return _worker._attempt(path, channel)
