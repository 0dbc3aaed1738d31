"""scikit-learn estimators: features as transformers, and recognizers as classifiers.

>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.svm import SVC
>>> from sklearn.preprocessing import StandardScaler
>>> model = make_pipeline(FeatureTransformer("egemaps"), StandardScaler(), SVC())
>>> model.fit(paths, labels).predict(["new.wav"])                            # doctest: +SKIP
array(['anger'], dtype='<U9')

Both take recordings in any form of `serkit.recognition.sounds.resolve`: paths, `(samples, rate)`, entries of a Hugging
Face data set; samples as a matrix (recordings, samples) at `rate` too. Neither learns anything: `fit` is not needed,
and a split of the recordings cannot leak through them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from serkit import audio, features
from serkit.errors import UserError
from serkit.features import Feature
from serkit.recognition.recognizer import Recognizer, load
from serkit.recognition.samples import as_samples
from serkit.recognition.sounds import Samples, resolve


class _OfSounds(BaseEstimator):  # type: ignore[misc]
    """What the estimators share: input of recordings, and no need of `fit`."""

    rate: int

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        return tags

    def _sounds(self, sounds: Any, reset: bool = False) -> Iterator[audio.Recording | Samples]:
        """Check the input, and yield each recording, or its samples with their rate."""
        if _is_matrix(sounds):
            matrix = validate_data(self, sounds, reset=reset, dtype=[np.float64, np.float32])
            return ((row, self.rate) for row in matrix)
        if isinstance(sounds, (str, Path, Mapping)) or not hasattr(sounds, "__len__"):
            raise UserError(f"several recordings are required, e.g. a list of paths, got {type(sounds).__name__}")
        return (resolve(sound, self.rate if _is_array(sound) else None) for sound in sounds)


def _is_array(sound: Any) -> bool:
    return hasattr(sound, "__array__") and np.asarray(sound).ndim > 0


def _is_matrix(sounds: Any) -> bool:
    """Return whether the input is a table of numbers, a row per recording, and not a list of recordings."""
    if hasattr(sounds, "__array__") or hasattr(sounds, "toarray"):
        return not (getattr(sounds, "ndim", 2) == 1 and getattr(sounds, "dtype", np.dtype(object)).kind in "OUTS")
    return isinstance(sounds, Sequence) and all(
        isinstance(row, Sequence) and not isinstance(row, (str, bytes, tuple)) for row in sounds
    )


class FeatureTransformer(TransformerMixin, _OfSounds):  # type: ignore[misc]
    """A feature of serkit as a transformer: recordings -> matrix (recordings, values) float32.

    A vector stays as it is. Of a feature over time, the mean and the standard deviation over time of each value are
    taken. A picture of fixed size is laid out value by value.

    >>> FeatureTransformer("log_mel_functionals").transform(np.random.default_rng(0).normal(size=(2, 16000))).shape
    (2, 200)

    Args:
        feature: name of a feature (`serkit.features.FEATURES`).
        options: options of the feature, e.g. `{"bands": 80}`.
        rate: rate in Hz of samples that come without one.
    """

    def __init__(
        self, feature: str = "speech_functionals", options: Mapping[str, Any] | None = None, rate: int = 16000
    ) -> None:
        self.feature = feature
        self.options = options
        self.rate = rate

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # float32 always
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input; nothing is learned."""
        self._sounds(X, reset=True)
        self._built()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Compute the feature of each recording.

        Args:
            X: n recordings, or samples (n, samples) at `rate`.

        Returns:
            float32 (n, values).

        Raises:
            AudioError: a recording cannot be read.
            UserError: a value is no sound.
        """
        feature = self._built()
        rows = [_row(feature, sound) for sound in self._sounds(X)]
        return np.stack(rows) if rows else np.empty((0, len(self.get_feature_names_out())), np.float32)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns.

        >>> FeatureTransformer("log_mel", {"bands": 2}).get_feature_names_out().tolist()
        ['log_mel_0_mean', 'log_mel_1_mean', 'log_mel_0_std', 'log_mel_1_std']
        """
        feature = self._built()
        count = int(np.prod([length for length in feature.shape if length is not None]))
        own = list(getattr(feature, "columns", None) or [f"{feature.name}_{number}" for number in range(count)])
        if None in feature.shape:
            own = [f"{name}_{statistic}" for statistic in ("mean", "std") for name in own]
        return np.array(own, dtype=object)

    def _built(self) -> Feature:
        return features.build(self.feature, **(self.options or {}))


class EmotionClassifier(ClassifierMixin, _OfSounds):  # type: ignore[misc]
    """A recognizer as a classifier, ready to predict.

    >>> classifier = EmotionClassifier("emodb")
    >>> classifier.predict(["call.wav"])                                     # doctest: +SKIP
    array(['anger'], dtype='<U9')
    >>> classifier.score(paths, labels)                                      # doctest: +SKIP
    0.71

    Args:
        model: name or folder of a bundle that predicts labels.
        rate: rate in Hz of samples that come without one.
    """

    def __init__(self, model: str = "default", rate: int = 16000) -> None:
        self.model = model
        self.rate = rate

    @property
    def classes_(self) -> np.ndarray:
        """The labels of the bundle, in the order of the columns of `predict_proba`."""
        return np.array(self._recognizer.bundle.labels)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the input; nothing is learned.

        Warns:
            UserWarning: `y` has labels that the recognizer never answers.
        """
        self._sounds(X, reset=True)
        if y is None:
            return self
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        check_consistent_length(X, labels)
        if other := sorted(set(map(str, labels)) - set(self.classes_)):
            text = f"recognizer '{self.model}' never answers {', '.join(other[:5])}; its labels: "
            warnings.warn(text + ", ".join(self.classes_), stacklevel=2)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the labels, float64 (n, labels), for n recordings as in `transform`.

        Raises:
            AudioError: a recording cannot be read.
            UserError: a value is no sound.
        """
        recognizer = self._recognizer
        found = [
            recognizer.predict_signal(*sound) if isinstance(sound, tuple) else recognizer.predict_file(sound)
            for sound in self._sounds(X)
        ]
        return np.array([list(one.probabilities.values()) for one in found]).reshape(-1, len(recognizer.bundle.labels))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each recording."""
        labels: np.ndarray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @property
    def _recognizer(self) -> Recognizer:
        # Not a field: scikit-learn compares and copies the fields.
        return _loaded(str(self.model))


def _row(feature: Feature, sound: audio.Recording | Samples) -> np.ndarray:
    """Compute the feature of a sound as a vector; over time, mean and standard deviation."""
    if isinstance(sound, tuple):
        signal = audio.resample(as_samples(sound[0]).mean(axis=1), sound[1], feature.rate)
    else:
        signal, _ = audio.read(sound, feature.rate)
    values = feature(signal)
    if None not in feature.shape:
        return values.reshape(-1)
    axis = feature.shape.index(None)
    return np.concatenate([values.mean(axis=axis).reshape(-1), values.std(axis=axis).reshape(-1)])


@lru_cache(maxsize=4)
def _loaded(model: str) -> Recognizer:
    recognizer = load(model)
    if recognizer.bundle.numbers:
        raise UserError(f"bundle '{model}' predicts numbers, not labels")
    return recognizer
