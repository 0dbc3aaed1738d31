"""Data of a training: the items of an experiment and their stored features."""
