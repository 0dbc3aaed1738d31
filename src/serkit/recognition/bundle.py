"""Bundles: what is shipped. A folder with `bundle.json`, `model.onnx`, `CARD.md` and perhaps weights.

`bundle.json` says what the network was given and what it answers, so that recognition needs nothing else.
There is no pickle in a bundle, and nothing in it is run but the network itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator

from serkit import documents, features
from serkit.atomic import writing_folder
from serkit.errors import UserError, unknown
from serkit.windowing import Windowing

#: The newest layout of `bundle.json` this code reads.
FORMAT: Final = 1

DESCRIPTION = "bundle.json"
MODEL: Final = "model.onnx"
CARD = "CARD.md"
WEIGHTS = "weights.safetensors"

#: The files of a bundle and how large each may be, in bytes. 2 GiB is the most that ONNX's format allows.
SIZES: Final = {DESCRIPTION: 16 << 20, CARD: 1 << 20, MODEL: 2 << 30, WEIGHTS: 8 << 30}

#: Numbers that an input of the network may have in one window: 16 windows of them fit into memory.
LARGEST_INPUT: Final = 1 << 24

# The bundles that come with serkit.
_OWN = Path(__file__).parents[1] / "bundles"

_KINDS = {
    stat.S_IFLNK: "a link; copy the file itself here (`cp -rL` copies a folder so)",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class BundleError(UserError):
    """A bundle that cannot be used; the message begins with the path of what is wrong."""


Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureConfig(_Table):
    """Name, version and options of a front end, as `features.config` writes them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    version: int


class Input(_Table):
    """One input of the network: a feature of a channel (None: the speech)."""

    name: str
    feature: FeatureConfig
    channel: Literal["egg"] | None = None


class Number(_Table):
    """A number the network gives, and the lowest and highest label it has learned from, in the labels' units."""

    name: str
    low: Finite
    high: Finite


class Calibration(_Table):
    """How the probabilities were calibrated. For information: the temperature is inside `model.onnx`."""

    temperature: Finite = Field(gt=0)
    fitted_on: str


class Unsure(_Table):
    """Which answers are marked as unsure: those whose confidence is below a threshold.

    `rule` says in words how the threshold was chosen. `coverage` is the share of answers that are sure, `accuracy`
    theirs, `accuracy_unsure` that of the others: measured on held-out speakers with a threshold from other speakers.
    """

    threshold: float = Field(ge=0, le=1.001)  # a little above 1 where no answer is sure
    rule: str
    coverage: float | None = Field(None, ge=0, le=1)
    accuracy: float | None = Field(None, ge=0, le=1)
    accuracy_unsure: float | None = Field(None, ge=0, le=1)


class TrainedOn(_Table):
    """Corpora, and the first 16 hexadecimal digits of `audio.content_hash` of each recording."""

    corpora: list[str]
    recordings: list[str]


class Score(_Table):
    """One measured value with its interval, how to measure it again, and what leaked into it."""

    corpus: str
    protocol: str
    metric: str
    value: Finite
    low: Finite | None = None
    high: Finite | None = None
    command: str | None = None
    flags: list[str] = []


class Parity(_Table):
    """Largest difference between the trained network and `model.onnx`: of a probability, or of a number as a share of
    the range of its labels."""

    recordings: int = Field(ge=0)
    max_difference: float = Field(ge=0)


class Size(_Table):
    """Numbers in the network, and its multiply-adds for one window where they were counted."""

    parameters: int = Field(ge=0)
    macs: int | None = Field(None, ge=0)


class ModelFile(_Table):
    """The network's file and the SHA-256 of its bytes."""

    file: Literal["model.onnx"] = MODEL
    sha256: str


class Bundle(_Table):
    """What `bundle.json` says, field by field.

    Args:
        format: layout of the file.
        name: what the bundle calls itself.
        serkit: version of serkit that wrote it.
        created: day, `2026-11-20`.
        system: name of the system it was trained by.
        numbers: what the network gives, in the order of its output, if that is numbers and not probabilities.
        labels: in the order of the network's output; none of a network that gives numbers.
        target: what was learned, e.g. `emotion`; of several the first.
        inputs: of the network.
        windowing: how a recording is cut; its probabilities are the mean over the windows.
        unsure: which answers are marked as unsure; None: none is.
        model: made by `save`.
        network: table the network can be built from again, with `weights.safetensors`.
    """

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
    trained_on: TrainedOn
    scores: list[Score] = []
    licence: str
    languages: list[str] = []
    parity: Parity | None = None
    size: Size
    model: ModelFile | None = None
    network: dict[str, Any] | None = None

    _folder: Path | None = PrivateAttr(None)

    @field_validator("labels")
    @classmethod
    def _two_or_none(cls, labels: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("numbers"):
            if labels:
                raise ValueError("there are numbers, so there can be no labels")
        elif len(labels) < 2:
            raise ValueError("list should have at least 2 labels, where there are no numbers")
        if len(set(labels)) < len(labels):
            raise ValueError("a label is there twice")
        return labels

    @classmethod
    def load(cls, folder: str | Path) -> Bundle:
        """Read a bundle's description, and check its files and all the description says against it.

        Raises:
            BundleError: the folder is no bundle, is broken, is of a newer format, or holds what no bundle may.
        """
        folder = Path(folder)
        content = _read_json(folder)
        path = folder / DESCRIPTION
        if isinstance(newer := content.get("format"), int) and newer > FORMAT:
            raise BundleError(
                f"{path}: this bundle has format {newer}; this serkit reads up to {FORMAT}: update serkit"
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
        """What the network's output is called."""
        return "values" if self.numbers else "probabilities"

    def want_classes(self) -> None:
        """Raise UserError if what it gives are numbers: for timelines, say, which are made of classes."""
        if self.numbers:
            names = ", ".join(number.name for number in self.numbers)
            raise UserError(f"bundle '{self.name}' gives numbers ({names}), no classes: `serkit predict` writes them")

    @property
    def outputs(self) -> list[str]:
        """What the network's outputs stand for: the labels, or the names of the numbers."""
        return [number.name for number in self.numbers] or self.labels

    @property
    def folder(self) -> Path:
        """Where it lies."""
        if self._folder is None:
            raise ValueError(f"bundle '{self.name}' lies in no folder yet: save it first")
        return self._folder

    @property
    def model_path(self) -> Path:
        """Where the network lies."""
        return self.folder / MODEL

    def card(self) -> str:
        """Read the model card, Markdown.

        Raises:
            BundleError: it is missing, or no text.
        """
        path = self.folder / CARD
        if not _check_file(path):
            raise BundleError(f"{path}: missing; copy the whole bundle again")
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None

    def features(self) -> dict[str, features.Feature]:
        """Build the front end of each input, by the input's name.

        Raises:
            BundleError: a front end this serkit lacks, or computes otherwise.
        """
        try:
            return {entry.name: features.build(**entry.feature.model_dump()) for entry in self.inputs}
        except UserError as error:
            raise BundleError(f"{self.folder / DESCRIPTION}: {error}") from None

    def save(self, folder: str | Path, model: bytes, card: str, weights: bytes | None = None) -> Bundle:
        """Write the bundle, whole or not at all.

        Args:
            folder: must not exist yet; its name is what `find` finds it by.
            model: content of `model.onnx`.
            card: model card, Markdown.
            weights: content of `weights.safetensors`.

        Returns:
            The bundle as it lies there.

        Raises:
            BundleError: the folder exists.
        """
        folder = Path(folder)
        if folder.exists():
            raise BundleError(f"{folder}: exists already; remove it or choose another folder")
        described = self.model_copy(update={"model": ModelFile(sha256=hashlib.sha256(model).hexdigest())})
        with writing_folder(folder) as temporary:
            (temporary / MODEL).write_bytes(model)
            (temporary / CARD).write_text(card, encoding="utf-8")
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
                f"{self.model_path}: corrupt: its SHA-256 begins {found[:8]}, {DESCRIPTION} says "
                f"{self.model.sha256[:8]}; copy the bundle again"
            )

    def _check_inputs(self) -> None:
        seconds = self.windowing.seconds
        for name, feature in self.features().items():
            # Without windows it is the whole recording that has to fit.
            time = (seconds or 1.0) * feature.rate / getattr(feature, "hop", feature.rate)
            numbers = math.prod(time if size is None else size for size in feature.shape)
            if numbers > LARGEST_INPUT:
                raise BundleError(
                    f"{self.folder / DESCRIPTION}: input '{name}' has {numbers:.3g} numbers a window; at most "
                    f"{LARGEST_INPUT}"
                )


def find(name: str | Path) -> Path:
    """Return the folder of a bundle given by name or by path.

    A name is looked for in the folders of `SERKIT_BUNDLES`, among the bundles that come with serkit, and
    in `bundles` of the cache folder, in this order; then it is tried as a path.

    Raises:
        UserError: no such bundle; the message lists those there are.
    """
    known = {folder.name: folder for folder in available()}
    if str(name) in known:
        return known[str(name)]
    path = Path(os.path.expanduser(name))  # leaves `~name` alone where there is no such user
    if path.is_dir():
        return path
    if path.name != str(name):
        raise BundleError(f"{name}: no such folder; a bundle is a folder with {DESCRIPTION} and {MODEL}")
    raise unknown("bundle", str(name), known)


def available() -> list[Path]:
    """List the folders of all bundles that can be given by name, whole or broken, ordered by name."""
    found: dict[str, Path] = {}
    for shelf in _shelves():
        for description in shelf.glob(f"*/{DESCRIPTION}"):
            found.setdefault(description.parent.name, description.parent)
    return [found[name] for name in sorted(found) if not name.startswith(".")]


def _shelves() -> Iterator[Path]:
    """Yield the folders that hold bundles."""
    from serkit.data.store import StoreError, default_folder

    yield from map(Path, filter(None, os.environ.get("SERKIT_BUNDLES", "").split(os.pathsep)))
    yield _OWN
    try:
        cache = default_folder()
    except StoreError:  # without a home folder there are the others
        return
    yield cache / "bundles"


def _read_json(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle is a folder with {DESCRIPTION} and {MODEL}")
    if not [name for name in SIZES if _check_file(folder / name)].count(DESCRIPTION):
        raise BundleError(f"{folder}: not a bundle: {DESCRIPTION} is missing")
    try:
        content = documents.read_json(path)
    except UserError as error:
        raise BundleError(str(error)) from None
    if not isinstance(content, dict):
        raise BundleError(f"{path}: holds a {type(content).__name__}; an object is wanted")
    return content


def _check_file(path: Path) -> bool:
    """Tell whether a file of a bundle is there; nothing is opened that is no file of its own, or too large.

    A link would show any file of the reader's machine, and a pipe makes whoever opens it wait.

    Raises:
        BundleError: it is a link, a pipe, a device or the like, or larger than `SIZES` allows.
    """
    try:
        # Installers may link files of a package, whose bundles are trusted as its code is.
        found = path.stat() if path.parent.parent == _OWN else path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(f"{path}: must be a regular file, is {_KINDS.get(stat.S_IFMT(found.st_mode), 'none')}")
    if found.st_size > SIZES[path.name]:
        raise BundleError(f"{path}: too large: {found.st_size} bytes; at most {SIZES[path.name]}")
    return True


def _first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong with the first key that is wrong."""
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "missing":
        return f"key '{key}' is missing"
    if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
        return str(unknown("key", key, Bundle.model_fields))
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key '{key}'"
    return f"key '{key}' is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
