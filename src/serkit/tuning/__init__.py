"""Hyper-parameter search for any system, based on Optuna.

`space` defines the choices, `rounds` what each round of a search tries, `study` the queue of points that workers
share, `trial` the score of a point; `search` runs the whole and `results` writes the outcome.
"""
