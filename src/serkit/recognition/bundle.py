"""Bundles, the form in which recognizers are shipped: a folder with `bundle.json`, `model.onnx`, `CARD.md`, and
optional weights.

`bundle.json` describes the network's inputs and outputs, so that recognition needs nothing else. A bundle holds no
pickle and no code except the network itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator

from serkit import documents, features
from serkit.atomic import writing_folder
from serkit.errors import UserError, unknown
from serkit.features import Feature
from serkit.features.onnx import Onnx
from serkit.recognition.hub import PREFIX, fetch
from serkit.recognition.presentation import first_of
from serkit.windowing import Windowing

#: Newest supported format of `bundle.json`.
FORMAT: Final = 1

DESCRIPTION = "bundle.json"
MODEL: Final = "model.onnx"
CARD = "CARD.md"
WEIGHTS = "weights.safetensors"

#: Files of a bundle with their maximum size in bytes. 2 GiB is the limit of ONNX's format.
SIZES: Final = {DESCRIPTION: 16 << 20, CARD: 1 << 20, MODEL: 2 << 30, WEIGHTS: 8 << 30}


def encoder_name(sha256: str) -> str:
    """Return the name of the file of an encoder in a bundle (`serkit.features.onnx`)."""
    return f"encoder-{sha256[:16]}.onnx"


#: Maximum size of a network input for one window; 16 windows fit into memory.
LARGEST_INPUT: Final = 1 << 24

# Bundles included in serkit.
_OWN = Path(__file__).parents[1] / "bundles"

_KINDS = {
    stat.S_IFLNK: "a link; replace it with the file itself (`cp -rL` copies a folder this way)",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class BundleError(UserError):
    """A bundle is unusable. The message begins with the path of the defect."""


Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureConfig(_Table):
    """Name, version and options of a feature, as written by `features.config`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    version: int


class Input(_Table):
    """One input of the network: a feature of a channel (None: the speech)."""

    name: str
    feature: FeatureConfig
    channel: Literal["egg"] | None = None


class Number(_Table):
    """A number that the network predicts, with the lowest and highest training label, in the labels' units."""

    name: str
    low: Finite
    high: Finite


class ByDuration(_Table):
    """Calibration by duration: the less speech, the higher the temperature.

    A window whose `input` has n frames has a temperature that is (frames / n) ** exponent times that of a window with
    `frames` frames.
    """

    input: str
    frames: Finite = Field(gt=0)
    exponent: Finite = Field(ge=0, le=1)

    def factor(self, count: float) -> float:
        """Return the factor of the temperature for a number of frames."""
        return float((self.frames / count) ** self.exponent)


class Calibration(_Table):
    """Calibration of the probabilities, which is part of `model.onnx`; see `ByDuration` for `by_duration`."""

    temperature: Finite = Field(gt=0)
    fitted_on: str
    by_duration: ByDuration | None = None


class Unsure(_Table):
    """Threshold of the confidence below which answers are marked as unsure.

    `rule` describes how the threshold was chosen. `coverage` is the share of sure answers, `accuracy` their accuracy,
    `accuracy_unsure` that of the others; all are measured on held-out speakers with a threshold from other speakers.
    """

    threshold: float = Field(ge=0, le=1.001)  # slightly above 1 if no answer is sure
    rule: str
    coverage: float | None = Field(None, ge=0, le=1)
    accuracy: float | None = Field(None, ge=0, le=1)
    accuracy_unsure: float | None = Field(None, ge=0, le=1)


class Adaptation(_Table):
    """Statistics of the training material, by which a recognizer adapts to a voice; see `recognition.adaptation`.

    `means` holds the mean of each row of an input over the training material, by the input's name. `narrow` and `wide`
    are the median spread of the answers to a held-out speaker in one emotion and in all emotions. `strength` is the
    largest share of a voice's deviation that is removed: less than 1 for a network that was trained without.
    Calibration divided the logits by `temperature`, which is undone before the variety of the answers is measured.
    """

    means: dict[str, list[Finite]] = Field(min_length=1)
    narrow: Finite = Field(ge=0)
    wide: Finite
    strength: float = Field(1.0, gt=0, le=1)
    temperature: Finite = Field(1.0, gt=0)

    @field_validator("wide")
    @classmethod
    def _wider(cls, wide: float, info: ValidationInfo) -> float:
        if wide <= info.data.get("narrow", 0.0):
            raise ValueError("must be above 'narrow'")
        return wide


class Familiar(_Table):
    """Statistics of the training recordings, by which a recognizer notices sound unlike them; see
    `recognition.familiarity`.

    `means` and `scales` hold mean and standard deviation of each row of an input over the training recordings, by the
    input's name. A recording whose distance exceeds `threshold` is unlike them; a window of a timeline,
    `window_threshold`.
    """

    means: dict[str, list[Finite]] = Field(min_length=1)
    scales: dict[str, list[Annotated[float, Field(gt=0, allow_inf_nan=False)]]]
    threshold: float = Field(gt=0, allow_inf_nan=False)
    window_threshold: float = Field(gt=0, allow_inf_nan=False)

    @field_validator("scales")
    @classmethod
    def _as_many(cls, scales: dict[str, list[float]], info: ValidationInfo) -> dict[str, list[float]]:
        means = info.data.get("means", {})
        if {name: len(values) for name, values in scales.items()} != {name: len(mean) for name, mean in means.items()}:
            raise ValueError("must have a number for each of 'means'")
        return scales


class TrainedOn(_Table):
    """Corpora, and the first 16 hexadecimal digits of `audio.content_hash` of each recording."""

    corpora: list[str]
    recordings: list[str]


class Score(_Table):
    """One measured score with its interval, the command to repeat it, and its leaks."""

    corpus: str
    protocol: str
    metric: str
    value: Finite
    low: Finite | None = None
    high: Finite | None = None
    command: str | None = None
    flags: list[str] = []


class Unseen(_Table):
    """Answers to recordings of corpora that the model had not met, when each corpus was left out once.

    `kind` and `name` say which recordings: all, or those of a corpus, a language or a sex. `n` is their number. `uar`
    is that of answers that are not adapted, `adapted` that of answers adapted to all recordings of each speaker. `sure`
    is the share of sure answers that are not adapted, and `right` the share of right ones among them; `sure_adapted`
    and `right_adapted` are those of adapted answers. Temperatures are from other corpora, and thresholds from other
    corpora and from `Everyday`; all are fitted to answers that are not adapted.
    """

    kind: Literal["all", "corpus", "language", "sex"]
    name: str
    n: int = Field(ge=1)
    uar: float = Field(ge=0, le=1)
    adapted: float | None = Field(None, ge=0, le=1)
    sure: float = Field(ge=0, le=1)
    right: float | None = Field(None, ge=0, le=1)
    sure_adapted: float | None = Field(None, ge=0, le=1)
    right_adapted: float | None = Field(None, ge=0, le=1)


class Everyday(_Table):
    """Answers to recordings without an emotion, which raise the threshold of unsure answers.

    `n` is their number, `neutral` the share of neutral answers, `wrong` the share of answers that are sure and not
    neutral.
    """

    n: int = Field(ge=1)
    neutral: float = Field(ge=0, le=1)
    wrong: float = Field(ge=0, le=1)


class Parity(_Table):
    """Largest difference between the trained network and `model.onnx`, in a probability, or in a number as a share of
    the range of its labels."""

    recordings: int = Field(ge=0)
    max_difference: float = Field(ge=0)


class Size(_Table):
    """Number of parameters, and multiply-adds for one window if they were counted."""

    parameters: int = Field(ge=0)
    macs: int | None = Field(None, ge=0)


class ModelFile(_Table):
    """The network's file and the SHA-256 of its bytes."""

    file: Literal["model.onnx"] = MODEL
    sha256: str


class Bundle(_Table):
    """The content of `bundle.json`.

    Args:
        format: format of the file.
        name: name of the bundle.
        serkit: version of serkit that wrote it.
        created: day, `2026-11-20`.
        system: name of the system that was trained.
        numbers: predicted numbers in the order of the network's output; empty for probabilities.
        labels: labels in the order of the network's output; empty if the network predicts numbers.
        target: learned target, e.g. `emotion`; the first of several.
        inputs: inputs of the network.
        windowing: how a recording is cut into windows; its probabilities are the mean over the windows.
        unsure: threshold for unsure answers; None: all answers are sure.
        adaptation: statistics for the adaptation to a voice; None: the recognizer cannot adapt.
        unseen: scores on corpora that the model had not met; empty if no corpus was left out.
        everyday: answers to recordings without an emotion; None: not measured.
        familiar: statistics for noticing sound unlike the training recordings; None: it is not noticed.
        model: set by `save`.
        network: table for rebuilding the network, with `weights.safetensors`.
        requires: distributions of plugins that compute its features, by the feature's name, as `name version`.
    """

    def __repr__(self) -> str:
        return f"Bundle({self.name!r}, {self.system}: {first_of(self.outputs, most=12)})"

    __str__ = __repr__

    format: Literal[1] = FORMAT
    name: str
    serkit: str
    created: str
    system: str
    numbers: list[Number] = []
    labels: list[str]
    target: str
    inputs: list[Input] = Field(min_length=1)
    windowing: Windowing
    calibration: Calibration | None = None
    unsure: Unsure | None = None
    adaptation: Adaptation | None = None
    familiar: Familiar | None = None
    trained_on: TrainedOn
    scores: list[Score] = []
    unseen: list[Unseen] = []
    everyday: Everyday | None = None
    licence: str
    languages: list[str] = []
    parity: Parity | None = None
    size: Size
    model: ModelFile | None = None
    network: dict[str, Any] | None = None
    requires: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99} [A-Za-z0-9.+!_-]{1,50}$")]] = {}

    _folder: Path | None = PrivateAttr(None)

    @field_validator("labels")
    @classmethod
    def _two_or_none(cls, labels: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("numbers"):
            if labels:
                raise ValueError("a bundle with numbers cannot have labels")
        elif len(labels) < 2:
            raise ValueError("list should have at least 2 labels, unless there are numbers")
        if len(set(labels)) < len(labels):
            raise ValueError("a label appears twice")
        return labels

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle's description, and check it and the bundle's files.

        Raises:
            BundleError: the folder is not a bundle, is broken, has a newer format, or holds forbidden content.
        """
        folder = Path(folder)
        content = _read_json(folder)
        path = folder / DESCRIPTION
        if isinstance(newer := content.get("format"), int) and newer > FORMAT:
            raise BundleError(
                f"{path}: has format {newer}, but this serkit reads formats up to {FORMAT}; update serkit"
            )
        try:
            bundle = cls.model_validate(content)
        except ValidationError as error:
            raise BundleError(f"{path}: {_first_problem(error)}") from None
        except UserError as error:  # from Windowing
            raise BundleError(f"{path}: {error}") from None
        bundle._folder = folder
        bundle._check_model()
        bundle._check_inputs()
        return bundle

    @property
    def output(self) -> Literal["probabilities", "values"]:
        """Name of the network's output."""
        return "values" if self.numbers else "probabilities"

    def want_classes(self) -> None:
        """Raise UserError if the bundle predicts numbers, e.g. for timelines, which require classes."""
        if self.numbers:
            names = ", ".join(number.name for number in self.numbers)
            raise UserError(f"bundle '{self.name}' predicts numbers ({names}), not classes; use `serkit predict`")

    @property
    def outputs(self) -> list[str]:
        """Names of the network's outputs: the labels, or the names of the numbers."""
        return [number.name for number in self.numbers] or self.labels

    @property
    def folder(self) -> Path:
        """Folder of the bundle."""
        if self._folder is None:
            raise ValueError(f"bundle '{self.name}' has no folder yet; save it first")
        return self._folder

    @property
    def model_path(self) -> Path:
        """Path of the network."""
        return self.folder / MODEL

    def card(self) -> str:
        """Read the model card (Markdown).

        Raises:
            BundleError: the card is missing, or is not text.
        """
        path = self.folder / CARD
        if not _check_file(path):
            raise BundleError(f"{path}: missing; copy the whole bundle again")
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start})") from None

    def features(self) -> dict[str, features.Feature]:
        """Build the feature of each input, by the input's name.

        Raises:
            BundleError: this serkit lacks a feature, or computes another version of it.
        """
        for entry in self.inputs:
            name = entry.feature.name
            if name in self.requires and not features.FEATURES.knows(name):
                raise BundleError(
                    f"{self.folder / DESCRIPTION}: requires feature '{name}' of the plugin {self.requires[name]}, "
                    "which is not installed here"
                )
        try:
            return {entry.name: self._feature(entry.feature) for entry in self.inputs}
        except UserError as error:
            raise BundleError(f"{self.folder / DESCRIPTION}: {error}") from None

    def _feature(self, config: FeatureConfig) -> Feature:
        """Build a feature, and give an encoder its file if the bundle holds it; otherwise it is found by its hash."""
        feature = features.rebuild(**config.model_dump())
        if isinstance(feature, Onnx) and self._folder is not None:
            place = self._folder / encoder_name(feature.sha256)
            if _check_file(place):
                feature.attach(place)
        return feature

    def save(
        self,
        folder: str | Path,
        model: bytes,
        card: str,
        weights: bytes | None = None,
        encoders: Iterable[Onnx] = (),
    ) -> Bundle:
        """Write the bundle completely or not at all.

        Args:
            folder: new folder; its name is the name for `find`.
            model: content of `model.onnx`.
            card: model card (Markdown).
            weights: content of `weights.safetensors`.
            encoders: features whose encoders the bundle holds; others are found by their hash.

        Returns:
            The saved bundle.

        Raises:
            BundleError: the folder exists.
        """
        folder = Path(folder)
        if folder.exists():
            raise BundleError(f"{folder}: already exists; remove it or choose another folder")
        described = self.model_copy(update={"model": ModelFile(sha256=hashlib.sha256(model).hexdigest())})
        with writing_folder(folder) as temporary:
            (temporary / MODEL).write_bytes(model)
            (temporary / CARD).write_text(card, encoding="utf-8")
            for encoder in encoders:
                shutil.copyfile(encoder.file(), temporary / encoder_name(encoder.sha256))
            if weights is not None:
                (temporary / WEIGHTS).write_bytes(weights)
            text = json.dumps(described.model_dump(mode="json"), indent=1, ensure_ascii=False)
            (temporary / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        return Bundle.load(folder)

    def _check_model(self) -> None:
        if self.model is None:
            raise BundleError(f"{self.folder / DESCRIPTION}: key 'model' is missing")
        if not _check_file(self.model_path):
            raise BundleError(f"{self.model_path}: missing; copy the whole bundle again")
        with open(self.model_path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.model.sha256:
            raise BundleError(
                f"{self.model_path}: corrupt: its SHA-256 begins with {found[:8]}, but {DESCRIPTION} has "
                f"{self.model.sha256[:8]}; copy the bundle again"
            )

    def _check_inputs(self) -> None:
        seconds = self.windowing.seconds
        for name, feature in self.features().items():
            # Without windows, the whole recording must fit.
            time = (seconds or 1.0) * feature.rate / getattr(feature, "hop", feature.rate)
            numbers = math.prod(time if size is None else size for size in feature.shape)
            if numbers > LARGEST_INPUT:
                raise BundleError(
                    f"{self.folder / DESCRIPTION}: input '{name}' has {numbers:.3g} numbers a window; at most "
                    f"{LARGEST_INPUT}"
                )
        for key in ("adaptation", "familiar"):
            statistics: Adaptation | Familiar | None = getattr(self, key)
            for name, mean in (statistics.means if statistics else {}).items():
                rows = self.features()[name].shape[0] if name in self.features() else None
                if rows != len(mean):
                    known = f"has {rows} rows" if rows else "does not exist"
                    raise BundleError(
                        f"{self.folder / DESCRIPTION}: key '{key}.means.{name}' has {len(mean)} numbers, but the "
                        f"input {known}"
                    )


def find(name: str | Path) -> Path:
    """Return the folder of a bundle, given by name, by path, or by its place on the Hub (see `hub.fetch`).

    A name is looked up in the folders of `SERKIT_BUNDLES`, in the bundles included in serkit, and in `bundles`
    of the cache folder, in this order; then it is used as a path. `./name`, or a `Path`, is a path at once.

    Raises:
        UserError: there is no such bundle; the message lists the available ones.
    """
    if str(name).startswith(PREFIX):
        return fetch(str(name))
    known = {folder.name: folder for folder in available()}
    if isinstance(name, str) and name in known:
        return known[name]
    path = Path(os.path.expanduser(name))  # keeps `~name` if there is no such user
    if path.is_dir():
        return path
    if path.name != str(name):
        raise BundleError(f"{name}: no such folder; a bundle is a folder with {DESCRIPTION} and {MODEL}")
    raise unknown("bundle", str(name), known)


def available() -> list[Path]:
    """List the folders of all bundles available by name, intact or broken, sorted by name."""
    found: dict[str, Path] = {}
    for shelf in _shelves():
        for description in shelf.glob(f"*/{DESCRIPTION}"):
            found.setdefault(description.parent.name, description.parent)
    return [found[name] for name in sorted(found) if not name.startswith(".")]


def _shelves() -> Iterator[Path]:
    """Yield the folders that contain bundles."""
    from serkit.data.store import StoreError, default_folder

    yield from map(Path, filter(None, os.environ.get("SERKIT_BUNDLES", "").split(os.pathsep)))
    yield _OWN
    try:
        cache = default_folder()
    except StoreError:  # without a home folder, the other folders remain
        return
    yield cache / "bundles"


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle is a folder with {DESCRIPTION} and {MODEL}")
    if not [name for name in SIZES if _check_file(folder / name)].count(DESCRIPTION):
        raise BundleError(f"{folder}: is not a bundle: {DESCRIPTION} is missing")
    try:
        content = documents.read_json(path)
    except UserError as error:
        raise BundleError(str(error)) from None
    if not isinstance(content, dict):
        raise BundleError(f"{path}: must hold an object, got a {type(content).__name__}")
    return content


def _check_file(path: Path) -> bool:
    """Return whether a file of a bundle exists; check that it is a regular file and not too large.

    A link could show any file of the user's machine, and a pipe would block the process that opens it.

    Raises:
        BundleError: the file is a link, a pipe, a device or the like, or larger than `SIZES` allows.
    """
    try:
        # Installers may link files of a package; its bundles are as trusted as its code.
        found = path.stat() if path.parent.parent == _OWN else path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"{path}: must be a regular file, is {_KINDS.get(stat.S_IFMT(found.st_mode), 'none')}")
    most = SIZES.get(path.name, SIZES[MODEL])
    if found.st_size > most:
        raise BundleError(f"{path}: is too large: {found.st_size} bytes; the maximum is {most}")
    return True


def _first_problem(error: ValidationError) -> str:
    """Return a line about the first wrong key."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        return str(unknown("key", key, Bundle.model_fields))
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key '{key}'"
    return f"key '{key}' is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
