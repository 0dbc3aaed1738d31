"""Reasons to distrust scores: data shared between parts, copies, doubtful labels, fits on test data."""
