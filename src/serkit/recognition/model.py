"""A loaded bundle: it maps one window or one recording to probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from serkit import audio
from serkit.errors import UserError, whole_number
from serkit.onnx_session import reason
from serkit.recognition import speechlike, timing
from serkit.recognition.adaptation import Voice, shifted
from serkit.recognition.bundle import Bundle, BundleError
from serkit.recognition.familiarity import Distance
from serkit.recognition.prediction import Doubt
from serkit.recognition.prediction import Prediction as Prediction
from serkit.recognition.samples import HIGHEST_RATE, INTEGERS, as_samples, check_recording, warn_of_integers
from serkit.recognition.session import open_session
from serkit.recognition.windows import cut, windows

Channel = int | Literal["egg"] | None

#: A channel, or each channel separately.
Channels = Channel | Literal["each"]

#: The sound that an input of the network reads: rate in Hz, and channel index (None: the mean of all).
Source = tuple[int, int | None]

#: Yields the samples of each window, given the rate in Hz and the channel index (None: the mean of all).
Reader = Callable[[int, int | None], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Part:
    """A part of a recording.

    Args:
        name: its name in messages.
        duration: in s.
        channels: number of channels.
        read: yields the samples of its windows.
    """

    name: str
    duration: float
    channels: int
    read: Reader


#: Windows in one call of the network: enough to keep the processor busy, few enough to limit memory.
BATCH = 16

#: Maximum number of threads; onnxruntime would start any number.
MOST_THREADS = 1024

#: Tolerance for probabilities outside 0 to 1, and for their sum: rounding of float32, or of 8-bit weights.
_TOLERANCE = 1e-3


def _reopen(kind: type[Model], folder: Path, sha256: str, threads: int, voice: Voice | None) -> Model:
    """Load a pickled model again."""
    bundle = Bundle.load(folder)
    if bundle.model is None or bundle.model.sha256 != sha256:
        raise BundleError(f"{folder}: has changed since the recognizer was pickled; load the bundle again")
    model = kind(bundle, threads)
    return model if voice is None else model.adapted(voice)


class Model:
    """A loaded bundle. Several threads may use it at once.

    It can be pickled and copied, e.g. for joblib, Dask, Spark or Ray. The pickle holds only the path of the bundle,
    where the same network must exist.

    A channel is an index from 0, which every input of the network then reads, `"egg"`, or None for the channels of the
    bundle. Speech is the mean of all channels. In a file with two channels, the electroglottograph is channel 1, and
    speech is channel 0. With `"egg"`, the electroglottograph may also be a separate file, if the bundle reads nothing
    else.

    Args:
        bundle: the bundle to run.
        threads: number of processor threads for the network.

    Raises:
        BundleError: the network cannot be loaded, or does not fit the bundle's description.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        self.bundle = bundle
        self.threads = whole_number("threads", threads, lowest=0, highest=MOST_THREADS)
        self._features = bundle.features()
        self._channels = {entry.name: entry.channel for entry in bundle.inputs}
        self._session = open_session(bundle, self._features, self.threads)
        self._unlike = Distance(bundle.familiar) if bundle.familiar else None
        #: The voice that the model is adapted to.
        self.voice: Voice | None = None
        self._shift: Mapping[str, np.ndarray] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.bundle!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path of the bundle, because a session of onnxruntime cannot be pickled."""
        assert self.bundle.model is not None
        return _reopen, (type(self), self.bundle.folder.absolute(), self.bundle.model.sha256, self.threads, self.voice)

    def new_voice(self) -> Voice:
        """Return a voice of which nothing was heard.

        Raises:
            UserError: the bundle holds no statistics for an adaptation, or predicts numbers.
        """
        if self.bundle.numbers:
            raise UserError(f"bundle '{self.bundle.name}' cannot adapt to a voice: it predicts numbers, not classes")
        if self.bundle.adaptation is None:
            raise UserError(
                f"bundle '{self.bundle.name}' cannot adapt to a voice: it holds no 'adaptation'; export it again from "
                "its run with this serkit, which writes it if a view is normalized by band"
            )
        return Voice(self.bundle.adaptation)

    def adapted(self, voice: Voice) -> Self:
        """Return this model, adapted to a voice; the two share the network."""
        twin = object.__new__(type(self))
        twin.__dict__ = {**self.__dict__, "voice": voice, "_shift": voice.shift()}
        return twin

    def hear_signal(self, signal: np.ndarray, rate: int, voice: Voice, channel: Channel = None) -> None:
        """Add samples to a voice; arguments and errors as in `predict_signal`."""
        rate, samples = whole_number("rate", rate, lowest=audio.LOWEST_RATE, highest=HIGHEST_RATE), as_samples(signal)
        sources = self.sources("signal", samples.shape[1], channel)
        if not self._hear("signal", sources, self._cutter(samples, rate), voice):
            _warn_of_no_speech("signal")

    def hear(self, path: audio.Recording, voice: Voice, channel: Channel = None) -> None:
        """Add a recording to a voice, window by window; windows without speech do not count.

        Raises:
            AudioError, UserError, BundleError: as in `predict_file`.
        """
        check_recording(path)
        sources = self.sources(str(path), audio.info(path).channels, channel)
        if not self._hear(str(path), sources, self._reader(path), voice):
            _warn_of_no_speech(str(path))

    def _hear(self, name: str, sources: dict[str, Source], read: Reader, voice: Voice) -> bool:
        """Add the windows that hold speech to a voice; return whether there are any."""
        before = voice.seconds
        for heard in self._windows(sources, read):
            if _peak(heard) >= audio.SILENCE_PEAK and self.speech(sources, heard) >= speechlike.THRESHOLD:
                self._hear_window(name, self._compute_features(sources, heard), voice, _seconds(heard))
        return voice.seconds > before

    def predict_file(self, path: audio.Recording, channel: Channel = None) -> Prediction:
        """Recognize a recording (a file or its content), window by window.

        Raises:
            AudioError: the recording cannot be read, has no such channel, or the network fails on it.
            UserError: the bundle does not read such a channel.
            BundleError: the network's output is not probabilities.
        """
        check_recording(path)
        with audio.collecting_warnings() as texts:
            info = audio.info(path)
            sources = self.sources(str(path), info.channels, channel)
            prediction = self._predict(str(path), info.duration, sources, self._reader(path))
        return replace(prediction, warnings=tuple(texts))

    def predict_signal(self, signal: np.ndarray, rate: int, channel: Channel = None) -> Prediction:
        """Recognize samples.

        Args:
            signal: (samples,) or (samples, channels); floats with full scale 1.0, or integers of up to 32 bits with the
                full scale of their type. Floats are not scaled; if they look like integers (beyond 8 times full scale),
                the answer has a warning.
            rate: in Hz, a whole number.
            channel: as for a file.

        Raises:
            UserError: the samples are empty, non-finite, beyond `audio.LOUDEST`, or have a wrong shape or type.
        """
        rate = whole_number("rate", rate, lowest=audio.LOWEST_RATE, highest=HIGHEST_RATE)
        samples = as_samples(signal)
        with audio.collecting_warnings() as texts:
            sources = self.sources("signal", samples.shape[1], channel)
            prediction = self._predict("signal", len(samples) / rate, sources, self._cutter(samples, rate))
        return replace(prediction, warnings=tuple(texts))

    def part_of_samples(self, name: str, samples: np.ndarray, rate: int) -> Part:
        """Return samples of a recording, float32 (samples, channels) at `rate` Hz, as a part of it."""
        return Part(name, len(samples) / rate, samples.shape[1], self._cutter(samples, rate))

    def part_of_file(self, name: str, path: audio.Recording, start: float, end: float) -> Part:
        """Return the interval of a recording from `start` to `end` s, which is read window by window."""
        return Part(
            name,
            end - start,
            audio.info(path).channels,
            lambda rate, index: windows(path, self.bundle.windowing, rate, index, start, end),
        )

    def predict_part(self, part: Part, channel: Channel = None) -> Prediction:
        """Recognize a part of a recording; errors as in `predict_file`."""
        sources = self.sources(part.name, part.channels, channel)
        return self._predict(part.name, part.duration, sources, part.read)

    def hear_part(self, part: Part, voice: Voice, channel: Channel = None) -> bool:
        """Add a part of a recording to a voice; return whether it holds speech. Errors are those of `predict_file`."""
        return self._hear(part.name, self.sources(part.name, part.channels, channel), part.read, voice)

    def check_channel(self, channel: Channels) -> None:
        """Raise UserError if this channel is wrong for every recording."""
        if isinstance(channel, str):
            if channel == "each":
                raise UserError("channel 'each' is for timelines, predict_files and predict_channels")
            if channel != "egg":
                raise UserError(f"channel must be a number from 0, or 'egg', got '{channel}'")
        elif channel is not None:
            whole_number("channel", channel)
        if channel == "egg" and "egg" not in self._channels.values():
            raise UserError(f"bundle '{self.bundle.name}' reads speech only, not channel 'egg'")

    def doubt(self, confidence: float, speech: float, distance: float, window: bool = False) -> str:
        """Return why an answer is not sure, or nothing if it is.

        Args:
            confidence: probability of its label.
            speech: probability that there is speech, by `speech`.
            distance: distance from the training recordings, by `recognition.familiarity`.
            window: whether the answer is of windows of a timeline.
        """
        unsure, familiar = self.bundle.unsure, self.bundle.familiar
        if speech < speechlike.THRESHOLD:
            return Doubt.no_speech
        if familiar and distance > (familiar.window_threshold if window else familiar.threshold):
            return Doubt.unlike
        if speech < speechlike.CERTAIN:
            return Doubt.perhaps_no_speech
        if unsure and confidence < unsure.threshold:
            return Doubt.confidence
        return ""

    def speech(self, sources: dict[str, Source], heard: Mapping[Source, np.ndarray]) -> float:
        """Return the probability that a window holds speech; 1 if the bundle reads no speech.

        Args:
            sources: the source of each input.
            heard: float32 (samples,) of each source.
        """
        entry = next((name for name, kind in self._channels.items() if kind is None), None)
        return 1.0 if entry is None else speechlike.probability(heard[sources[entry]], sources[entry][0])

    def mean_features(self, signal: np.ndarray, rate: int) -> dict[str, np.ndarray]:
        """Return the means of the rows of each input over time and windows, (rows,); arguments as `predict_signal`."""
        samples = as_samples(signal)
        sources = self.sources("signal", samples.shape[1])
        windows = [
            self._row_means(self._compute_features(sources, heard))
            for heard in self._windows(sources, self._cutter(samples, rate))
        ]
        return _mean_rows(windows)

    def _row_means(self, features: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the mean over time of each row of the features of a window, by input."""
        return {
            name: array.reshape(len(array), -1).mean(axis=1, dtype=np.float64)
            for name, array in zip(self._features, features, strict=True)
        }

    def _distance(self, rows: Mapping[str, np.ndarray]) -> float:
        """Return the distance of row means from those of the training recordings; 0 if the bundle knows none."""
        return self._unlike(rows) if self._unlike else 0.0

    def sources(self, name: str, count: int, channel: Channel = None) -> dict[str, Source]:
        """Return the source that each input of the network reads in a recording with `count` channels.

        Raises:
            AudioError: the recording has no such channel; the message begins with `name`.
            UserError: the bundle does not read such a channel.
        """
        self.check_channel(channel)
        indices = self._choose_channels(name, count, channel)
        return {entry: (feature.rate, indices[entry]) for entry, feature in self._features.items()}

    def recognize_window(
        self,
        name: str,
        sources: dict[str, Source],
        heard: Mapping[Source, np.ndarray],
        voice: Voice | None = None,
        seconds: float | None = None,
    ) -> tuple[np.ndarray, float]:
        """Recognize one window.

        Args:
            name: of the recording, for messages.
            sources: the source of each input.
            heard: float32 (samples,) of each source.
            voice: the voice that the window is added to and then adapted to; None: that of `adapted`.
            seconds: duration of what the window adds to the voice; 0: the window is not added, e.g. because it holds no
                speech; None: all of it.

        Returns:
            Probabilities (labels,), in the bundle's order, and the distance from the training recordings.

        Raises:
            AudioError: the network fails on it.
            BundleError: the network's output is not probabilities.
        """
        features, shift = self._compute_features(sources, heard), self._shift
        if voice is not None:
            if seconds != 0:
                self._hear_window(name, features, voice, _seconds(heard) if seconds is None else seconds)
            shift = voice.shift()
        [probabilities] = self._run(name, [array[None] for array in shifted(features, list(self._features), shift)])
        return probabilities, self._distance(self._row_means(features))

    def _hear_window(self, name: str, features: Sequence[np.ndarray], voice: Voice, seconds: float) -> None:
        """Add the features of a window, which are not adapted, to a voice."""
        [answer] = self._run(name, [array[None] for array in features])
        by_input = dict(zip(self._features, features, strict=True))
        calibration = self.bundle.calibration
        short = calibration.by_duration if calibration else None
        voice.add(by_input, answer, seconds, short.factor(by_input[short.input].shape[-1]) if short else 1.0)

    def _compute_features(self, sources: dict[str, Source], heard: Mapping[Source, np.ndarray]) -> list[np.ndarray]:
        """Compute the features of each input, in the inputs' order."""
        with timing.part("features"):
            return [feature(heard[sources[entry]]) for entry, feature in self._features.items()]

    @property
    def _reads_egg_only(self) -> bool:
        return set(self._channels.values()) == {"egg"}

    def _choose_channels(self, name: str, count: int, channel: Channel) -> dict[str, int | None]:
        """Return the channel index that each input reads (None: the mean of all)."""
        if channel is not None and channel != "egg":
            channel = whole_number("channel", channel)
            if not 0 <= channel < count:
                raise audio.AudioError(f"{name}: has no channel {channel}; it has {count}, counted from 0")
            return dict.fromkeys(self._channels, channel)
        if "egg" not in self._channels.values():
            return dict.fromkeys(self._channels, None)
        if channel == "egg" and count == 1 and self._reads_egg_only:
            return dict.fromkeys(self._channels, 0)
        if count != 2:
            alone = " If the file has only that signal, set the channel to 'egg'." if self._reads_egg_only else ""
            raise audio.AudioError(
                f"{name}: has {count} channel(s); bundle '{self.bundle.name}' reads the electroglottograph "
                f"from channel 1 of two.{alone} If it is in another channel, give the number of that channel"
            )
        return {entry: 1 if kind == "egg" else 0 for entry, kind in self._channels.items()}

    def _reader(self, path: audio.Recording) -> Reader:
        """Return the reader of a recording."""
        return lambda rate, index: windows(path, self.bundle.windowing, rate, index)

    def _cutter(self, samples: np.ndarray, rate: int) -> Reader:
        """Return the reader of samples (samples, channels)."""

        def read(wanted: int, index: int | None) -> Iterator[np.ndarray]:
            mono = samples.mean(axis=1) if index is None else np.ascontiguousarray(samples[:, index])
            return cut([audio.resample(mono, rate, wanted)], wanted, len(samples) / rate, self.bundle.windowing)

        return read

    def _windows(self, sources: dict[str, Source], read: Reader) -> Iterator[dict[Source, np.ndarray]]:
        """Yield the samples of each window by source."""
        # Inputs with the same source share one reading.
        order = list(dict.fromkeys(sources.values()))
        # Not strict: a truncated recording may have one window more at one rate than at another.
        for heard in zip(*(read(*source) for source in order), strict=False):
            yield dict(zip(order, heard, strict=True))

    def _predict(
        self,
        name: str,
        duration: float,
        sources: dict[str, Source],
        read: Reader,
    ) -> Prediction:
        """Average over the windows; `read(rate, channel index)` yields their samples."""
        peak = 0.0
        speech: list[float] = []
        rows: list[dict[str, np.ndarray]] = []

        def examples() -> Iterator[list[np.ndarray]]:
            nonlocal peak
            for heard in self._windows(sources, read):
                peak = max(peak, _peak(heard))
                features = self._compute_features(sources, heard)
                if not self.bundle.numbers:
                    speech.append(self.speech(sources, heard))
                    rows.append(self._row_means(features))
                yield shifted(features, list(self._features), self._shift)

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
        doubt = Doubt.silent if silent else Doubt.short if short else ""
        doubt = doubt or self.doubt(mean[label], float(np.mean(speech)), self._distance(_mean_rows(rows)))
        return Prediction(name, label, mean[label], mean, duration, sure=not doubt, doubt=doubt)

    def _run(self, name: str, batch: Sequence[np.ndarray]) -> np.ndarray:
        """Run the network on (batch, ...) arrays in the inputs' order: (batch, outputs)."""
        try:
            with timing.part("network"):
                [answer] = self._session.run([self.bundle.output], dict(zip(self._features, batch, strict=True)))
            result: np.ndarray = answer
        except Exception as error:  # onnxruntime's errors have no common base class
            raise audio.AudioError(f"{name}: the network fails on it ({reason(error)})") from None
        wanted = (len(batch[0]), len(self.bundle.outputs))
        if result.shape != wanted:
            raise BundleError(f"{self.bundle.model_path}: its output must have shape {wanted}, got {result.shape}")
        if self.bundle.numbers:
            if not np.isfinite(result).all():
                raise BundleError(f"{self.bundle.model_path}: its output for {name} is not finite")
            return result
        # Written so that NaN fails too.
        if not np.abs(result.sum(axis=1) - 1).max() <= _TOLERANCE:
            raise BundleError(f"{self.bundle.model_path}: the probabilities of {name} do not add up to 1")
        outside = result[np.abs(result - 0.5) > 0.5 + _TOLERANCE]
        if len(outside):
            raise BundleError(
                f"{self.bundle.model_path}: probabilities of {name} must be 0 to 1, got {round(float(outside[0]), 3)}"
            )
        values: np.ndarray = np.clip(result, 0, 1)
        return values


def _warn_of_no_speech(name: str) -> None:
    audio.warn(f"{name}: no speech to adapt to")


def _peak(heard: Mapping[Source, np.ndarray]) -> float:
    return max(float(np.abs(samples).max()) for samples in heard.values())


def _mean_rows(windows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the mean of the rows over the windows of a recording, by input."""
    return {name: np.mean([one[name] for one in windows], axis=0) for name in windows[0]}


def _seconds(heard: Mapping[Source, np.ndarray]) -> float:
    (rate, _), samples = next(iter(heard.items()))
    return len(samples) / rate


def _batches(examples: Iterable[list[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Join consecutive arrays of equal shapes into (batch, ...) arrays, one per input."""

    def shapes(example: list[np.ndarray]) -> list[tuple[int, ...]]:
        return [array.shape for array in example]

    for _, equal in itertools.groupby(examples, key=shapes):
        while batch := list(itertools.islice(equal, BATCH)):
            yield [np.stack(arrays) for arrays in zip(*batch, strict=True)]
