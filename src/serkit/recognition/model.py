"""A bundle, ready to run: one window, or one recording, in; probabilities out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from serkit import audio
from serkit.errors import UserError, whole_number
from serkit.recognition.bundle import Bundle, BundleError
from serkit.recognition.samples import HIGHEST_RATE, INTEGERS, as_samples, check_recording, warn_of_integers
from serkit.recognition.session import open_session, reason
from serkit.recognition.windows import cut, windows

Channel = int | Literal["egg"] | None

#: What an input of the network hears: rate in Hz, and channel index (None: the mean of all).
Source = tuple[int, int | None]

#: Windows run at once: enough to keep the processor busy, few enough for an hour of sound.
BATCH = 16

#: More threads than any machine has; onnxruntime would start them all.
MOST_THREADS = 1024

#: How far probabilities may lie outside 0 to 1, and be from adding up to 1: rounding of float32, or of 8-bit weights.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Prediction:
    """What was recognised in one recording.

    Args:
        file: its path as it was given; `signal` for samples.
        label: the most probable label; empty if the bundle gives numbers.
        confidence: its probability; 0 if the bundle gives numbers.
        probabilities: label -> probability, in the bundle's order; empty if it gives numbers.
        duration: of the recording in s.
        warnings: what looked wrong with it: silent, too short for a syllable, truncated.
        sure: whether the confidence reaches the bundle's threshold, any does where it has none, and the recording is
            neither silent nor shorter than `audio.SHORTEST`: no such ones were learned from.
        values: name -> number, in the bundle's order and the units of the labels it has learned from; empty if
            the bundle gives probabilities.
    """

    file: str
    label: str
    confidence: float
    probabilities: dict[str, float]
    duration: float
    warnings: tuple[str, ...] = ()
    sure: bool = True
    values: dict[str, float] = field(default_factory=dict)


def _reopen(kind: type[Model], folder: Path, sha256: str, threads: int) -> Model:
    """Make again a model that was pickled."""
    bundle = Bundle.load(folder)
    if bundle.model is None or bundle.model.sha256 != sha256:
        raise BundleError(f"{folder}: holds another network than when the recognizer was pickled; load it anew")
    return kind(bundle, threads)


class Model:
    """A bundle, ready to run, in several threads at once if need be.

    It can be pickled and copied, so that joblib, Dask, Spark or Ray can carry it: what is carried is where the bundle
    lies, which must hold the same network there.

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
        self.threads = whole_number("threads", threads, lowest=0, highest=MOST_THREADS)
        self._features = bundle.features()
        self._channels = {entry.name: entry.channel for entry in bundle.inputs}
        self._session = open_session(bundle, self._features, self.threads)

    def __reduce__(self) -> tuple[Any, ...]:
        """Carry where the bundle lies: a session of onnxruntime cannot be pickled."""
        assert self.bundle.model is not None
        return _reopen, (type(self), self.bundle.folder.absolute(), self.bundle.model.sha256, self.threads)

    def predict_file(self, path: audio.Recording, channel: Channel = None) -> Prediction:
        """Recognise a recording, a file or the content of one, reading it window by window.

        Raises:
            AudioError: it cannot be read, has no such channel, or the network fails on it.
            UserError: the bundle does not listen to such a channel.
            BundleError: what the network gives is not probabilities.
        """

        def read(rate: int, index: int | None) -> Iterator[np.ndarray]:
            return windows(path, self.bundle.windowing, rate, index)

        check_recording(path)
        with audio.collecting_warnings() as texts:
            info = audio.info(path)
            sources = self.sources(str(path), info.channels, channel)
            prediction = self._predict(str(path), info.duration, sources, read)
        return replace(prediction, warnings=tuple(texts))

    def predict_signal(self, signal: np.ndarray, rate: int, channel: Channel = None) -> Prediction:
        """Recognise samples.

        Args:
            signal: (samples,) or (samples, channels); floats of full scale 1.0, or integers of up to 32
                bits, whose full scale is that of their type. Floats are not scaled: where they look like integers
                (beyond 8 times full scale) the answer has a warning.
            rate: in Hz, a whole number.
            channel: as for a file.

        Raises:
            UserError: empty, non-finite, beyond `audio.LOUDEST`, or of a wrong shape or type.
        """
        rate = whole_number("rate", rate, lowest=1, highest=HIGHEST_RATE)
        samples = as_samples(signal)
        duration = len(samples) / rate

        def read(wanted: int, index: int | None) -> Iterator[np.ndarray]:
            mono = samples.mean(axis=1) if index is None else np.ascontiguousarray(samples[:, index])
            return cut([audio.resample(mono, rate, wanted)], wanted, duration, self.bundle.windowing)

        with audio.collecting_warnings() as texts:
            sources = self.sources("signal", samples.shape[1], channel)
            prediction = self._predict("signal", duration, sources, read)
        return replace(prediction, warnings=tuple(texts))

    def check_channel(self, channel: Channel) -> None:
        """Raise UserError if no recording whatever could be recognised with this channel."""
        if isinstance(channel, str):
            if channel != "egg":
                raise UserError(f"channel '{channel}': neither a number from 0 nor 'egg'")
        elif channel is not None:
            whole_number("channel", channel)
        if channel == "egg" and "egg" not in self._channels.values():
            raise UserError(f"bundle '{self.bundle.name}' listens to speech only: channel 'egg' is not for it")

    def is_sure(self, confidence: float) -> bool:
        """Tell whether an answer of such confidence is sure enough, by the bundle's threshold."""
        unsure = self.bundle.unsure
        return unsure is None or confidence >= unsure.threshold

    def sources(self, name: str, count: int, channel: Channel = None) -> dict[str, Source]:
        """Return what each input of the network hears of a recording with `count` channels.

        Raises:
            AudioError: it has no such channel; the message begins with `name`.
            UserError: the bundle does not listen to such a channel.
        """
        self.check_channel(channel)
        indices = self._choose_channels(name, count, channel)
        return {entry: (feature.rate, indices[entry]) for entry, feature in self._features.items()}

    def recognize_window(self, name: str, sources: dict[str, Source], heard: Mapping[Source, np.ndarray]) -> np.ndarray:
        """Recognise one window.

        Args:
            name: of the recording, for messages.
            sources: what each input hears.
            heard: float32 (samples,) of each source.

        Returns:
            Probabilities (labels,), in the bundle's order.

        Raises:
            AudioError: the network fails on it.
            BundleError: what the network gives is not probabilities.
        """
        [probabilities] = self._run(name, [array[None] for array in self._compute_features(sources, heard)])
        values: np.ndarray = probabilities
        return values

    def _compute_features(self, sources: dict[str, Source], heard: Mapping[Source, np.ndarray]) -> list[np.ndarray]:
        """Compute what each input is given, in the inputs' order."""
        return [feature(heard[sources[entry]]) for entry, feature in self._features.items()]

    @property
    def _hears_egg_only(self) -> bool:
        return set(self._channels.values()) == {"egg"}

    def _choose_channels(self, name: str, count: int, channel: Channel) -> dict[str, int | None]:
        """Return the channel index (None: the mean of all) each input reads."""
        if channel is not None and channel != "egg":
            channel = whole_number("channel", channel)
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
        sources: dict[str, Source],
        read: Callable[[int, int | None], Iterator[np.ndarray]],
    ) -> Prediction:
        """Average over the windows; `read(rate, channel index)` yields their samples."""
        # Inputs that hear the same samples share one reading.
        order = list(dict.fromkeys(sources.values()))
        peak = 0.0

        def examples() -> Iterator[list[np.ndarray]]:
            nonlocal peak
            # Not strict: of a truncated recording one rate may give a last window the other does not.
            for heard in zip(*(read(*source) for source in order), strict=False):
                peak = max(peak, *(float(np.abs(window).max()) for window in heard))
                yield self._compute_features(sources, dict(zip(order, heard, strict=True)))

        total = np.zeros(len(self.bundle.outputs))
        count = 0
        for batch in _batches(examples()):
            total += self._run(name, batch).sum(axis=0, dtype=np.float64)
            count += len(batch[0])
        if count == 0:
            raise audio.AudioError(f"{name}: too short: nothing is left of {duration:g} s after resampling")
        silent, short = peak < audio.SILENCE_PEAK, duration < audio.SHORTEST
        if silent:
            audio.warn(f"{name}: silent (no sample above -96 dB of full scale)")
        if peak > INTEGERS:
            warn_of_integers(name)
        if short:
            audio.warn(f"{name}: too short for a syllable ({duration:g} s)")
        mean = dict(zip(self.bundle.outputs, (total / count).tolist(), strict=True))
        if self.bundle.numbers:
            return Prediction(name, "", 0.0, {}, duration, values=mean)
        label = max(mean, key=mean.__getitem__)
        sure = self.is_sure(mean[label]) and not silent and not short
        return Prediction(name, label, mean[label], mean, duration, sure=sure)

    def _run(self, name: str, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Run the network on (batch, ...) arrays in the inputs' order: (batch, outputs)."""
        try:
            [answer] = self._session.run([self.bundle.output], dict(zip(self._features, batch, strict=True)))
            result: np.ndarray = answer
        except Exception as error:  # onnxruntime's errors have no class of their own in common
            raise audio.AudioError(f"{name}: the network fails on it ({reason(error)})") from None
        wanted = (len(batch[0]), len(self.bundle.outputs))
        if result.shape != wanted:
            raise BundleError(f"{self.bundle.model_path}: its output has shape {result.shape}; {wanted} is wanted")
        if self.bundle.numbers:
            if not np.isfinite(result).all():
                raise BundleError(f"{self.bundle.model_path}: what it gives for {name} is not finite")
            return result
        # Written so that a sum that is no number fails too.
        if not np.abs(result.sum(axis=1) - 1).max() <= _TOLERANCE:
            raise BundleError(f"{self.bundle.model_path}: the probabilities of {name} do not add up to 1")
        outside = result[np.abs(result - 0.5) > 0.5 + _TOLERANCE]
        if len(outside):
            raise BundleError(
                f"{self.bundle.model_path}: gives {round(float(outside[0]), 3)} for {name}: not a probability"
            )
        values: np.ndarray = np.clip(result, 0, 1)
        return values


def _batches(examples: Iterable[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Join neighbours of equal shapes into (batch, ...) arrays, one per input."""

    def shapes(example: list[np.ndarray]) -> list[tuple[int, ...]]:
        return [array.shape for array in example]

    for _, equal in itertools.groupby(examples, key=shapes):
        while batch := list(itertools.islice(equal, BATCH)):
            yield [np.stack(arrays) for arrays in zip(*batch, strict=True)]
