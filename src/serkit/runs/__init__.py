"""Runs: training and scoring of a system on corpora, by stage and fold, and the folder with the results."""
