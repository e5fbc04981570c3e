"""Corrections for several tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LEVEL = 0.05


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for the number of tests (Holm 1979).

    If tests below 5 % are rejected, the probability of any false rejection is at most 5 %, for any dependence
    of the tests.
    """
    adjusted = [1.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def not_surely_worse(count: int, p_better: Callable[[int, int], float], level: float = LEVEL) -> list[int]:
    """Return the indices of candidates that are not clearly worse than another (Hsu 1981).

    The probability that the best candidate is missing is at most ``level``: only its ``count - 1``
    comparisons with the others can exclude it. The result is never empty.

    Args:
        count: number of candidates.
        p_better: function from two candidates to the one-sided p value, small if the first is better.
        level: maximum probability of excluding the best candidate.
    """
    limit = level / max(1, count - 1)
    kept = [
        index
        for index in range(count)
        if not any(p_better(other, index) < limit for other in range(count) if other != index)
    ]
    return kept or list(range(count))
