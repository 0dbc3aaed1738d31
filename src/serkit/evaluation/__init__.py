"""Predictions and what is computed from them: metrics, intervals, comparison, calibration, scores."""

from __future__ import annotations

from serkit.evaluation.predictions import Predictions

__all__ = ["Predictions"]
