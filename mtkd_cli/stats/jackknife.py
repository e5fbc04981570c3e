"""Jackknife intervals of any smooth metric, from its values without each sample.

The interval uses the jackknife's variance and a t quantile. The degrees of freedom follow from the kurtosis
of the samples' influence (Satterthwaite), so they are few if few samples dominate. The interval of a single
number also uses Hall's (1992) correction for skewness if that makes it wider. The simulations in
docs/benchmarks/error_rates.md compare this method with percentile, BCa and studentized bootstraps.
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
"""Minimum number of samples for an interval: the variance of fewer is unreliable."""
MOST_GROUPS = 500
"""Maximum number of groups of samples that are left out in turn."""


def groups_of(samples: int, most: int = MOST_GROUPS) -> list[NDArray[np.int64]]:
    """Return the groups of sample indices to leave out in turn: single samples, or random groups of many.

    Args:
        samples: number of samples.
        most: maximum number of groups.
    """
    if samples <= most:
        return [np.array([sample]) for sample in range(samples)]
    return np.array_split(counter_rng.permutation(samples, "jackknife"), most)


def without_each(metric: Callable[[NDArray[np.int64]], float], samples: int) -> Numbers:
    """Return a metric without each group of samples, ``[G]``.

    Args:
        metric: function from sample indices to the metric of these samples.
        samples: number of samples N.
    """
    every = np.arange(samples)
    return np.array([metric(np.delete(every, group)) for group in groups_of(samples)], dtype=np.float64)


def means_without_each(sums: Numbers, counts: Numbers) -> Numbers:
    """Return ``sum(sums) / sum(counts)`` without each sample, ``[N]``; both arguments are ``[N]``."""
    means: Numbers = (sums.sum() - sums) / np.maximum(counts.sum() - counts, 1)
    return means


def interval(value: float, without: Numbers, samples: int, level: float = LEVEL) -> Estimate:
    """Return a number with its interval.

    Args:
        value: the number on all samples.
        without: the number without each group, ``[G]``.
        samples: number of samples N.
        level: confidence level.
    """
    from scipy.stats import t

    influence, error, freedom = _influence(without)
    if samples < FEWEST or not math.isfinite(error):
        return Estimate(value, -math.inf, math.inf)
    if error == 0:
        return Estimate(value, value, value)
    skew = float((influence**3).mean() / (influence**2).mean() ** 1.5)
    quantile = float(t.ppf((1 + level) / 2, freedom))
    below = max(quantile, _skewed_quantile(quantile, skew, len(without)))
    above = max(quantile, -_skewed_quantile(-quantile, skew, len(without)))
    return Estimate(value, value - error * below, value + error * above)


def difference(value: float, without: Numbers, samples: int) -> Difference:
    """Return a difference of two numbers with its interval and p value; arguments as in `interval`."""
    from scipy.stats import t

    _, error, freedom = _influence(without)
    if samples < FEWEST or not math.isfinite(error):
        return Difference(value, -math.inf, math.inf)
    if error == 0:
        return Difference(value, value, value, 0.0 if value else 1.0)
    half = float(t.ppf((1 + LEVEL) / 2, freedom)) * error
    return Difference(value, value - half, value + half, 2 * float(t.sf(abs(value) / error, freedom)))


def _influence(without: Numbers) -> tuple[Numbers, float, float]:
    """Return the influence of each group ``[G]``, the standard error, and its degrees of freedom."""
    count = len(without)
    influence = without.mean() - without
    if count < 2 or not np.isfinite(influence).all():
        return influence, math.inf, 1.0
    tiny = 1e-12 * float(np.abs(without).max())  # rounding error of samples without influence
    influence[np.abs(influence) <= tiny] = 0.0
    error = math.sqrt((count - 1) / count * float((influence**2).sum()))
    return influence, error, _degrees_of_freedom(influence)


def _degrees_of_freedom(influence: Numbers) -> float:
    """Return the degrees of freedom of the variance from the influence ``[G]``, 1 to G - 1."""
    count, squares = len(influence), float((influence**2).sum())
    if squares == 0:
        return 1.0
    scaled = influence / math.sqrt(squares / count)
    kurtosis = float((scaled**4).mean())
    return min(max(2 * count / max(kurtosis - 1, 1e-9) - 1, 1.0), count - 1.0)


def _skewed_quantile(quantile: float, skew: float, count: int) -> float:
    """Return the quantile of the t statistic for skewed numbers (inverse of Hall's transformation)."""
    if abs(skew) < 1e-6:
        return quantile
    inside = 1 + skew * (quantile / math.sqrt(count) - skew / (6 * count))
    return math.sqrt(count) * 3 / skew * (math.cbrt(inside) - 1)
