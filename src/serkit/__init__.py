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

#: Public name -> module that defines it; without an attribute, the module itself.
_PLACES = {
    "Prediction": "recognition",
    "Recognizer": "recognition",
    "Run": "lab",
    "Timeline": "recognition",
    "UserError": "errors",
    "audio": "",
    "audit": "lab",
    "compare": "lab",
    "corpus": "lab",
    "evaluate": "lab",
    "features": "",
    "forecast": "lab",
    "load": "recognition",
    "models": "recognition",
    "sklearn": "",
    "train": "lab",
}

if TYPE_CHECKING:
    from serkit import audio, features, sklearn
    from serkit.errors import UserError
    from serkit.lab import Run, audit, compare, corpus, evaluate, forecast, train
    from serkit.recognition import Prediction, Recognizer, Timeline, load, models

    __version__: str

__all__ = [
    "Prediction",
    "Recognizer",
    "Run",
    "Timeline",
    "UserError",
    "__version__",
    "audio",
    "audit",
    "compare",
    "corpus",
    "evaluate",
    "features",
    "forecast",
    "load",
    "models",
    "sklearn",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("serkit")
    elif name not in _PLACES:
        raise AttributeError(f"module 'serkit' has no attribute '{name}'")
    elif place := _PLACES[name]:
        value = getattr(importlib.import_module(f"serkit.{place}"), name)
    else:
        value = importlib.import_module(f"serkit.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
