"""Hyper-parameter search for any system, on Optuna.

`space` is what may be chosen, `rounds` what each round of a search tries, `study` the queue of points that workers
share, `trial` how a point is scored, `search` runs all of it and `results` writes what came out.
"""
