"""Speech emotion recognition: train, compare, reproduce and ship recognisers; recognise without torch.

>>> import serkit
>>> recognizer = serkit.load()                      # doctest: +SKIP
>>> recognizer("call.wav").label                    # doctest: +SKIP
'anger'

Nothing is imported before it is asked for: `serkit --version` must not pay for a model.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# From 1.29 on, wheels of onnxruntime report to their makers as soon as they are imported, unless this says no. Only
# 1, true, yes and on do: an empty value or `0` reports. Every process of serkit imports this file first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from serkit import audio, features
    from serkit.recognition import Prediction, Recognizer, load

    __version__: str

__all__ = ["Prediction", "Recognizer", "__version__", "audio", "features", "load"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("serkit")
    elif name in ("audio", "features"):
        value = importlib.import_module(f"serkit.{name}")
    elif name in ("Prediction", "Recognizer", "load"):
        value = getattr(importlib.import_module("serkit.recognition"), name)
    else:
        raise AttributeError(f"module 'serkit' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
