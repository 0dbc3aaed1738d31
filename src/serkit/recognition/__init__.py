"""Recognition from a bundle and a sound, with NumPy and onnxruntime but without torch."""

from serkit.recognition.bundle import Bundle, available, find
from serkit.recognition.jobs import Failure
from serkit.recognition.model import Prediction
from serkit.recognition.recognizer import Recognizer, load, models
from serkit.recognition.segments import Segment, Window
from serkit.recognition.stream import Statistics, Stream, TimelineOptions
from serkit.recognition.timeline import Timeline

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
