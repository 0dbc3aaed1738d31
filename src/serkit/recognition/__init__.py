"""Recognition from a bundle and a sound, with NumPy and onnxruntime but without torch.

Names are imported on first use, so that a command's help does not pay for a recognizer.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

#: Public name -> module that defines it.
_PLACES = {
    "Bundle": "bundle",
    "Failure": "jobs",
    "Prediction": "model",
    "Recognizer": "recognizer",
    "Segment": "segments",
    "Statistics": "stream",
    "Stream": "stream",
    "Timeline": "timeline",
    "TimelineOptions": "timeline_options",
    "Window": "segments",
    "available": "bundle",
    "find": "bundle",
    "load": "recognizer",
    "models": "recognizer",
}

if TYPE_CHECKING:
    from serkit.recognition.bundle import Bundle, available, find
    from serkit.recognition.jobs import Failure
    from serkit.recognition.model import Prediction
    from serkit.recognition.recognizer import Recognizer, load, models
    from serkit.recognition.segments import Segment, Window
    from serkit.recognition.stream import Statistics, Stream
    from serkit.recognition.timeline import Timeline
    from serkit.recognition.timeline_options import TimelineOptions

__all__ = [
    "Bundle",
    "Failure",
    "Prediction",
    "Recognizer",
    "Segment",
    "Statistics",
    "Stream",
    "Timeline",
    "TimelineOptions",
    "Window",
    "available",
    "find",
    "load",
    "models",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'serkit.recognition' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"serkit.recognition.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
