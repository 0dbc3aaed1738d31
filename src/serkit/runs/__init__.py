"""Runs: a system on a corpus, stage by stage and fold by fold, and the folder that keeps what came of it."""
