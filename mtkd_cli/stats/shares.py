"""Intervals of a share of samples, and of the difference of two shares of the same samples."""

from __future__ import annotations

import functools
import math

from mtkd_cli.stats.estimate import LEVEL, Difference, Estimate


def share(right: int, samples: int, level: float = LEVEL) -> Estimate:
    """Return a share with Wilson's score interval; for 20 of 20 it is 0.84 to 1."""
    from scipy.stats import binomtest

    if not samples:
        return Estimate(math.nan, -math.inf, math.inf)
    found = binomtest(right, samples).proportion_ci(level, method="wilson")
    return Estimate(right / samples, float(found.low), float(found.high))


@functools.lru_cache(maxsize=4096)
def paired_difference(first_only: int, second_only: int, samples: int) -> Difference:
    """Return the first share minus the second, on the same samples, with McNemar's exact test.

    Each end of the interval is the wider one of two intervals: Tango's score interval (1998), and the exact
    interval given the number of differing samples, which excludes zero exactly if the test rejects.

    Args:
        first_only: number of samples on which only the first is right.
        second_only: number of samples on which only the second is right.
        samples: number of all samples, equal ones included.
    """
    from scipy.stats import binomtest

    differing = first_only + second_only
    low, high = _score_interval(first_only, second_only, samples)
    if not differing:
        return Difference(0.0, low, high)
    test = binomtest(first_only, differing)
    exact = test.proportion_ci(LEVEL, method="exact")
    scale = differing / samples
    return Difference(
        (first_only - second_only) / samples,
        min(low, scale * (2 * float(exact.low) - 1)),
        max(high, scale * (2 * float(exact.high) - 1)),
        float(test.pvalue),
    )


def _score_interval(first_only: int, second_only: int, samples: int) -> tuple[float, float]:
    """Return Tango's interval, which contains the differences that the score test does not reject."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    limit = float(norm.ppf((1 + LEVEL) / 2))
    gap, value = first_only - second_only, (first_only - second_only) / samples

    def statistic(difference: float) -> float:
        off = gap - samples * difference
        if abs(off) < 1e-9:
            return 0.0
        # maximum-likelihood share of `second only` at this difference: largest root of 2 n q^2 + b q + c
        b = -first_only - second_only + (2 * samples - gap) * difference
        c = -second_only * difference * (1 - difference)
        share_of_second = (math.sqrt(max(b * b - 8 * samples * c, 0)) - b) / (4 * samples)
        variance = samples * (2 * share_of_second + difference * (1 - difference))
        return math.copysign(math.inf, off) if variance <= 0 else off / math.sqrt(variance)

    edge = 1 - 1e-9
    low = brentq(lambda d: statistic(d) - limit, -edge, value) if value > -edge else -1.0
    high = brentq(lambda d: statistic(d) + limit, value, edge) if value < edge else 1.0
    return float(low), float(high)
