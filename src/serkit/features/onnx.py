"""Any encoder of waveforms that was exported to ONNX, as a front end: wav2vec 2.0, WavLM, HuBERT, emotion2vec, ...

The encoder is frozen, and onnxruntime runs it, so recognition needs no torch. Its file is named by its hash: `path` and
`model` only say where it lies, and are not part of the configuration. So a bundle cannot name a file of the user's.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from serkit.errors import UserError, unknown
from serkit.features.pooling import POOLINGS, pieces, pool
from serkit.features.spectrum import Rate
from serkit.options import Between

if TYPE_CHECKING:
    import onnxruntime

#: Variable with the folders of encoders, whose files are named `NAME.onnx`, or by their SHA-256.
FOLDERS = "SERKIT_ENCODERS"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Onnx:
    """Frames, or their statistics, of an encoder in an ONNX file.

    The encoder reads float32 (batch, samples), and a mask (batch, samples) of whole numbers if it has a second input.
    It returns (batch, frames, size), or (batch, size) for vectors of the whole signal. A signal longer than `chunk` is
    read in equal pieces of at most `chunk` s, one after the other, so memory does not grow with its length.

    Args:
        path: the file; not part of the configuration.
        model: instead of the path, the name of a file in a folder of `SERKIT_ENCODERS`, without `.onnx`; not part of
            the configuration.
        sha256: SHA-256 of the file; empty: it is computed. The file must have it.
        rate: sampling rate that the encoder reads, in Hz.
        output: name of the encoder's output; empty: the first.
        pooling: `mean`, `mean_std` (mean and standard deviation), `max`, or `none` for frames over time.
        size: numbers per frame; 0: read from the file.
        standardize: whether the signal gets mean 0 and variance 1 first, as some encoders expect.
        chunk: longest piece, in s.
        hop: samples between frames, for `none`; wav2vec 2.0, HuBERT and WavLM have 320.
    """

    path: InitVar[str] = ""
    model: InitVar[str] = ""
    sha256: str = ""
    rate: Rate = 16000
    output: str = ""
    pooling: str = "mean"
    size: Annotated[int, Between(0, 1 << 16)] = 0
    standardize: bool = False
    chunk: Annotated[float, Between(1.0, 120.0)] = 20.0
    hop: Annotated[int, Between(1, 1 << 16)] = 320

    name: ClassVar[str] = "onnx"
    version: ClassVar[int] = 1

    def __post_init__(self, path: str, model: str) -> None:
        if self.pooling not in POOLINGS:
            raise unknown("pooling", str(self.pooling), POOLINGS)
        if self.sha256 and not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 must be 64 hexadecimal digits in lower case, got '{self.sha256}'")
        if path and model:
            raise ValueError("path and model both name a file; give one")
        place = Path(os.path.expanduser(path)) if path else _named(model) if model else None
        if place is None and not self.sha256:
            raise ValueError("give path, model or sha256")
        if place is not None:
            object.__setattr__(self, "sha256", _checked(place, self.sha256))
        # Where the file lies is no field: equal encoders are equal features wherever they lie.
        object.__setattr__(self, "_place", place)
        if not self.size:
            shape = self._shape_of_output()
            if not isinstance(shape[-1], int):
                raise ValueError(f"output '{self.output}' of {self.file()} has no fixed size; give size")
            object.__setattr__(self, "size", shape[-1])

    @property
    def shape(self) -> tuple[int | None, ...]:
        if self.pooling == "none":
            return (self.size, None)
        return (2 * self.size if self.pooling == "mean_std" else self.size,)

    @property
    def columns(self) -> list[str]:
        """Return the name of each value of the vector: `mean_0`, ..."""
        kinds = self.pooling.split("_")
        return [f"{kind}_{number}" for kind in kinds for number in range(self.size)]

    def attach(self, place: Path) -> None:
        """Set where the file of a bundle lies; it must have the feature's hash.

        Raises:
            UserError: it has another one.
        """
        _checked(place, self.sha256)
        object.__setattr__(self, "_place", place)

    def file(self) -> Path:
        """Return the encoder's file: where it was given, or in a folder of `SERKIT_ENCODERS` under its hash.

        Raises:
            UserError: it is not there.
        """
        if self._place is not None:
            return self._place
        for folder in _folders():
            if (place := folder / f"{self.sha256}.onnx").is_file():
                _checked(place, self.sha256)
                object.__setattr__(self, "_place", place)
                return place
        raise UserError(
            f"the encoder with SHA-256 {self.sha256} is missing: put its file into a folder that {FOLDERS} names, as "
            f"{self.sha256}.onnx"
        )

    def check(self) -> None:
        """Load the encoder.

        Raises:
            UserError: it is missing, has forbidden content, or has no such output.
        """
        self._shape_of_output()

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Compute the frames of a float32 signal (samples,), or their statistics.

        Returns:
            float32 (size,), (2 * size,) for `mean_std`, or (size, frames) for `none`.

        Raises:
            UserError: the encoder is missing or fails.
        """
        found = pool(self._frames(signal), self.pooling)
        return found.T if self.pooling == "none" else found.reshape(-1)

    _place: ClassVar[Path | None]

    def _frames(self, signal: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the frames (frames, size) of each piece of a signal."""
        session, output = self._session(), self._output()
        samples, *mask = [entry.name for entry in session.get_inputs()]
        for piece in pieces(signal, self.rate, self.chunk, self.standardize):
            given = {samples: piece[None].astype(np.float32, copy=False)}
            given |= {name: np.ones((1, len(piece)), dtype=np.int64) for name in mask}
            try:
                [frames] = session.run([output], given)
            except Exception as error:  # onnxruntime's errors have no common base class
                from serkit.onnx_session import reason

                raise UserError(f"{self.file()}: fails on {len(piece)} samples ({reason(error)})") from None
            frames = frames[:, None] if frames.ndim == 2 else frames
            if frames.ndim != 3 or len(frames) != 1 or not frames.shape[1] or frames.shape[2] != self.size:
                raise UserError(
                    f"{self.file()}: output '{output}' must have shape (1, frames, {self.size}) or (1, {self.size}), "
                    f"got {frames.shape}"
                )
            yield frames[0]

    def _session(self) -> onnxruntime.InferenceSession:
        return _session(str(self.file()), self.sha256)

    def _output(self) -> str:
        outputs = [entry.name for entry in self._session().get_outputs()]
        if self.output and self.output not in outputs:
            raise unknown(f"output of {self.file()}: output", self.output, outputs)
        return self.output or outputs[0]

    def _shape_of_output(self) -> list[int | str | None]:
        name = self._output()
        [shape] = [entry.shape for entry in self._session().get_outputs() if entry.name == name]
        if len(shape) not in (2, 3) or (len(shape) == 2 and self.pooling == "none"):
            wanted = "(batch, frames, size)" if self.pooling == "none" else "(batch, frames, size) or (batch, size)"
            raise UserError(f"output '{name}' of {self.file()} must have shape {wanted}, got {shape}")
        return list(shape)


def _folders() -> Iterator[Path]:
    yield from map(Path, filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)))


def _named(model: str) -> Path:
    """Return the file of an encoder by its name."""
    known = {place.stem: place for folder in _folders() for place in sorted(folder.glob("*.onnx"))}
    if model not in known:
        raise UserError(f"{unknown('encoder', model, known)} (*.onnx in the folders of {FOLDERS})")
    return known[model]


def _checked(place: Path, wanted: str) -> str:
    """Return the hash of a file, which must be the wanted one if that is not empty."""
    try:
        found = place.stat()
        digest = _hash(str(place.absolute()), found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise UserError(f"{place}: cannot be read ({error.strerror or error})") from None
    if wanted not in ("", digest):
        raise UserError(f"{place}: its SHA-256 begins with {digest[:8]}, but {wanted[:8]} is required")
    return digest


@functools.lru_cache(maxsize=64)
def _hash(place: str, changed: int, size: int) -> str:
    with open(place, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Several threads of the store compute at once; loading twice would double the memory.
_loading = threading.Lock()


def _session(place: str, sha256: str) -> onnxruntime.InferenceSession:
    with _loading:
        return _loaded(place, sha256)


@functools.lru_cache(maxsize=4)
def _loaded(place: str, sha256: str) -> onnxruntime.InferenceSession:
    """Load an encoder; the hash tells apart files that lay at the same place."""
    from serkit.onnx_session import load

    session = load(Path(place), threads=1)
    inputs = session.get_inputs()
    kinds = [entry.type for entry in inputs]
    if kinds not in (["tensor(float)"], ["tensor(float)", "tensor(int64)"]) or any(
        len(one.shape) != 2 for one in inputs
    ):
        told = ", ".join(f"'{entry.name}' {entry.type} {entry.shape}" for entry in inputs)
        raise UserError(
            f"{place}: must read tensor(float) (batch, samples), and perhaps a mask tensor(int64) of the same shape; "
            f"it reads {told}"
        )
    return session
