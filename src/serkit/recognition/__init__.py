"""From a bundle and a sound to probabilities: NumPy and onnxruntime, no torch."""

from serkit.recognition.bundle import Bundle, available, find
from serkit.recognition.jobs import Failure
from serkit.recognition.recognizer import Prediction, Recognizer, load
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
]
