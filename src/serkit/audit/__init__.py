"""What speaks against trusting scores: data shared between parts, copies, doubtful labels, fits on test data."""
