"""Several tests that are read together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LEVEL = 0.05


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979).

    With those below 5 % rejected, the chance that any true null is among them is at most 5 %, whatever the
    dependence of the tests.
    """
    adjusted = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def not_surely_worse(count: int, p_better: Callable[[int, int], float], level: float = LEVEL) -> list[int]:
    """Return which of several are not surely worse than another (comparison with the best, Hsu 1981).

    The chance that the truly best is left out is at most the level: only its comparisons with the others
    could leave it out, and there are ``count - 1`` of these. It is never empty.

    Args:
        count: how many there are.
        p_better: of two of them the one-sided p value, small if the first is surely better.
        level: chance of leaving out the best.
    """
    limit = level / max(1, count - 1)
    kept = [
        index
        for index in range(count)
        if not any(p_better(other, index) < limit for other in range(count) if other != index)
    ]
    return kept or list(range(count))
