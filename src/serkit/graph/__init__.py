"""Graphs: a recognizer as one ONNX file, from samples to answers.

A feature that has a graph has a line in `GRAPHS`. Its function adds the operators of the feature to a graph: given
`op`, the feature, and a signal (samples,) at the feature's rate, it returns an array of the feature's shape. It mirrors
the NumPy feature of the same name, whose numbers it repeats within rounding. To add one, write its file and add a line.
"""

from __future__ import annotations

from enum import StrEnum

from serkit.registry import Registry


class Precision(StrEnum):
    """How the weights of the network are stored; it computes in float32 with all of them."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"


GRAPHS = Registry(
    "feature with a graph",
    {
        "is09": "serkit.graph.is09:is09",
        "is09_descriptors": "serkit.graph.is09_descriptors:is09_descriptors",
        "log_mel": "serkit.graph.log_mel:log_mel",
        "log_mel_functionals": "serkit.graph.log_mel_functionals:log_mel_functionals",
        "logmel_image": "serkit.graph.logmel_image:logmel_image",
        "mel_square": "serkit.graph.square:mel_square",
        "mfcc": "serkit.graph.mfcc:mfcc",
        "mfcc_square": "serkit.graph.square:mfcc_square",
        "speech_functionals": "serkit.graph.speech_functionals:speech_functionals",
        "speech_log_mel": "serkit.graph.speech_log_mel:speech_log_mel",
        "stft_magnitude": "serkit.graph.stft_magnitude:stft_magnitude",
    },
)
