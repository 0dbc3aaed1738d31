"""Predictions, and their metrics, intervals, comparison, calibration and scores."""

from __future__ import annotations

from serkit.evaluation.predictions import Predictions

__all__ = ["Predictions"]
