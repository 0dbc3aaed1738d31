"""Mel-frequency cepstral coefficients; see `serkit.features.mfcc`."""

from __future__ import annotations

from serkit.features.mfcc import Mfcc, cosines
from serkit.graph import log_mel
from serkit.graph.ops import Op, Value, constant, part


def mfcc(op: Op, feature: Mfcc, signal: Value) -> Value:
    """Return the coefficients of a signal (samples,): (coefficients, frames)."""
    # The sample before the first counts as 0.
    emphasised = signal - op.Pad(part(op, signal, 0, -1, 0), [1, 0]) * feature.preemphasis
    levels = log_mel.log_mel(op, feature.log_mel(), emphasised)
    layout = (feature.bands, feature.coefficients, feature.lifter)
    return op.MatMul(constant(op, "dct", cosines(*layout).T), levels)
