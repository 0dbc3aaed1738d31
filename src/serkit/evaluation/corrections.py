"""Correction of p values for multiple comparisons."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number, so that the probability of any false positive stays below the level.

    The smallest is multiplied by n, the next by n - 1, and so on; the order is kept. The correction holds for any
    dependence between the comparisons, and rejects everything that Bonferroni's correction rejects.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics
    6:65 (1979).

    Args:
        p_values: p value of each comparison, 0 to 1.

    Returns:
        The adjusted p values in the same order, 0 to 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
