"""From a bundle and a sound to probabilities: NumPy and onnxruntime, no torch."""

from serkit.recognition.bundle import Bundle, available, find
from serkit.recognition.recognizer import Failure, Prediction, Recognizer, load

__all__ = ["Bundle", "Failure", "Prediction", "Recognizer", "available", "find", "load"]
