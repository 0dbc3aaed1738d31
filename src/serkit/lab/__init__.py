"""The lab from Python: what `serkit train`, `compare`, `audit` and `evaluate` do, as functions.

The command line calls these functions too. All of them are also names of `serkit`: `serkit.train`, `serkit.corpus`, ...
"""

from serkit.lab.judge import RunComparison, Scored, audit, compare, evaluate
from serkit.lab.run import Run, forecast, train, train_share
from serkit.lab.sources import corpus

__all__ = [
    "Run",
    "RunComparison",
    "Scored",
    "audit",
    "compare",
    "corpus",
    "evaluate",
    "forecast",
    "train",
    "train_share",
]
