"""Small corpora in the exact naming of the real ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write recordings at 16 kHz below `tmp_path`, each with samples of its own; return that folder."""

    def write(*names: str, seconds: float = 0.1, channels: int = 1) -> Path:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            soundfile.write(path, generator.uniform(-0.3, 0.3, (round(seconds * 16000), channels)), 16000)
        return tmp_path

    return write
