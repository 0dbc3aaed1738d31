"""Layers that two networks share."""
