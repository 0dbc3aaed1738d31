"""Speech emotion recognition: train, compare, reproduce and ship recognizers; recognize without torch.

>>> import serkit
>>> recognizer = serkit.load()                      # doctest: +SKIP
>>> recognizer("call.wav").label                    # doctest: +SKIP
'anger'

Modules are imported on first use, so that `serkit --version` does not pay for a model.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# From version 1.29 on, wheels of onnxruntime send telemetry on import unless this variable disables it. Only 1, true,
# yes and on disable it; an empty value or `0` does not. Every process of serkit imports this file first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from serkit import audio, features
    from serkit.errors import UserError
    from serkit.recognition import Prediction, Recognizer, Timeline, load, models

    __version__: str

__all__ = ["Prediction", "Recognizer", "Timeline", "UserError", "__version__", "audio", "features", "load", "models"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("serkit")
    elif name in ("audio", "features"):
        value = importlib.import_module(f"serkit.{name}")
    elif name == "UserError":
        value = importlib.import_module("serkit.errors").UserError
    elif name in ("Prediction", "Recognizer", "Timeline", "load", "models"):
        value = getattr(importlib.import_module("serkit.recognition"), name)
    else:
        raise AttributeError(f"module 'serkit' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
