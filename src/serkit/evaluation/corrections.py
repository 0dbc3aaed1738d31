"""Many comparisons at once: p values that still mean what they say."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, so that the chance of any false alarm among them stays below the level.

    The smallest counts times n, the next times n - 1, and so on; none ends up below a smaller one. Holds
    whatever the dependence between the comparisons, and rejects all that Bonferroni's correction does.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics
    6:65 (1979).

    Args:
        p_values: one of each comparison, 0 to 1.

    Returns:
        The adjusted ones in the same order, 0 to 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
