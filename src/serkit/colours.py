"""The color of each emotion, the same on the page, in pictures and in reports."""

from __future__ import annotations

from collections.abc import Sequence

#: Color of each emotion on white, as on the page (`page/src/emotions.ts`); other labels use those of `SPARE` in turn.
COLOURS = {
    "anger": "#c73b11",
    "boredom": "#9d8074",
    "calm": "#3f8f86",
    "contempt": "#7d3350",
    "disgust": "#0b4502",
    "excitement": "#c2571a",
    "fear": "#89459f",
    "frustration": "#8c4a32",
    "happiness": "#cd7f20",
    "neutral": "#4e4f57",
    "sadness": "#3c5dde",
    "surprise": "#2598c0",
}
SPARE = ("#3d9a8b", "#c97b3c", "#5d6ac0", "#b0589a", "#6f7d2f", "#4f97c4")


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """Return a color for each label."""
    others = [label for label in labels if label not in COLOURS]
    return {label: COLOURS[label] if label in COLOURS else SPARE[others.index(label) % len(SPARE)] for label in labels}
