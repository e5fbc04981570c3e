"""Intervals of any smooth metric, from what it is without each sample.

The jackknife's variance with a t quantile whose degrees of freedom follow the kurtosis of the samples'
influence (Satterthwaite): few samples that differ, or few that dominate, give few degrees of freedom. A
single number takes Hall's (1992) correction for skewness besides, where that makes its interval wider.
docs/benchmarks/error_rates.md has the simulations by which this was chosen over percentile, BCa and
studentized bootstraps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.stats.estimate import LEVEL, Difference, Estimate

Numbers = NDArray[np.float64]

FEWEST = 20
"""Samples below which no interval is given: a variance of fewer is a guess."""
MOST_GROUPS = 500
"""Groups of samples that are left out in turn, at most."""


def groups_of(samples: int) -> list[NDArray[np.int64]]:
    """Return which samples are left out in turn: each by itself, or of many some groups drawn by counters."""
    if samples <= MOST_GROUPS:
        return [np.array([sample]) for sample in range(samples)]
    return np.array_split(counter_rng.permutation(samples, "jackknife"), MOST_GROUPS)


def without_each(metric: Callable[[NDArray[np.int64]], float], samples: int) -> Numbers:
    """Return a metric without each of the groups, ``[G]``.

    Args:
        metric: of the samples at some rows.
        samples: their number N.
    """
    every = np.arange(samples)
    return np.array([metric(np.delete(every, group)) for group in groups_of(samples)], dtype=np.float64)


def means_without_each(sums: Numbers, counts: Numbers) -> Numbers:
    """Return ``sum(sums) / sum(counts)`` without each of the samples, ``[N]``, from ``[N]`` each."""
    means: Numbers = (sums.sum() - sums) / np.maximum(counts.sum() - counts, 1)
    return means


def interval(value: float, without: Numbers, samples: int, level: float = LEVEL) -> Estimate:
    """Return a number with its interval.

    Args:
        value: of all samples.
        without: without each of the groups, ``[G]``.
        samples: their number N.
        level: confidence.
    """
    from scipy.stats import t

    influence, error, freedom = _spread(without)
    if samples < FEWEST or not math.isfinite(error):
        return Estimate(value, -math.inf, math.inf)
    if error == 0:
        return Estimate(value, value, value)
    skew = float((influence**3).mean() / (influence**2).mean() ** 1.5)
    quantile = float(t.ppf((1 + level) / 2, freedom))
    below = max(quantile, _unskewed(quantile, skew, len(without)))
    above = max(quantile, -_unskewed(-quantile, skew, len(without)))
    return Estimate(value, value - error * below, value + error * above)


def difference(value: float, without: Numbers, samples: int) -> Difference:
    """Return a difference of two numbers with its interval and p value; arguments as for `interval`."""
    from scipy.stats import t

    _, error, freedom = _spread(without)
    if samples < FEWEST or not math.isfinite(error):
        return Difference(value, -math.inf, math.inf)
    if error == 0:
        return Difference(value, value, value, 0.0 if value else 1.0)
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Difference(value, value - half, value + half, 2 * float(t.sf(abs(value) / error, freedom)))


def _spread(without: Numbers) -> tuple[Numbers, float, float]:
    """Return the influence of each group ``[G]``, the standard error, and its degrees of freedom."""
    count = len(without)
    influence = without.mean() - without
    if count < 2 or not np.isfinite(influence).all():
        return influence, math.inf, 1.0
    tiny = 1e-12 * float(np.abs(without).max())  # rounding, where no sample changes the number
    influence[np.abs(influence) <= tiny] = 0.0
    error = math.sqrt((count - 1) / count * float((influence**2).sum()))
    return influence, error, _freedom(influence)


def _freedom(influence: Numbers) -> float:
    """Return the degrees of freedom of the variance, 1 to G - 1."""
    count, squares = len(influence), float((influence**2).sum())
    if squares == 0:
        return 1.0
    scaled = influence / math.sqrt(squares / count)
    kurtosis = float((scaled**4).mean())
    return min(max(2 * count / max(kurtosis - 1, 1e-9) - 1, 1.0), count - 1.0)


def _unskewed(quantile: float, skew: float, count: int) -> float:
    """Return the quantile of the t statistic of skewed numbers (the inverse of Hall's transformation)."""
    if abs(skew) < 1e-6:
        return quantile
    inside = 1 + skew * (quantile / math.sqrt(count) - skew / (6 * count))
    return math.sqrt(count) * 3 / skew * (math.cbrt(inside) - 1)
