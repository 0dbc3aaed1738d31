"""Training of one stage's network: batches, the loop, precision, stopping rules and checkpoints."""
