"""A paired t test over seeds: gain, interval, p value."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.05
"""Two-sided significance level; half of it is for a false claim in one direction."""
FEWEST_SEEDS = 3
"""Minimum number of seeds for an interval. Of two seeds, the 95 % interval is 12.7 standard errors wide."""


@dataclass(frozen=True)
class Paired:
    """Gains of one student over another, seed by seed; positive is better.

    Attributes:
        seeds: number of seeds.
        gain: mean gain.
        deviation: standard deviation of the gains; NaN with one seed.
        low: lower end of Student's 95 % interval of the mean; -infinity with fewer than three seeds.
        high: upper end of the interval; infinity with fewer than three seeds.
        p: two-sided p value of no difference; 1 with fewer than three seeds.
    """

    seeds: int
    gain: float
    deviation: float
    low: float
    high: float
    p: float

    @property
    def p_positive(self) -> float:
        """One-sided p value: small if the gain is surely positive; 1 with fewer than three seeds."""
        if self.seeds < FEWEST_SEEDS:
            return 1.0
        return self.p / 2 if self.gain > 0 else 1 - self.p / 2


def paired_t_test(gains: Sequence[float], resolution: float = 0.0) -> Paired:
    """Return the paired t test of gains, one per seed.

    Args:
        gains: gain of each seed; positive is better.
        resolution: smallest difference that one test sample can make, a lower limit of the deviation:
            with few test samples, scores of different seeds can be equal by chance.
    """
    from scipy.stats import t

    count, mean = len(gains), statistics.fmean(gains)
    deviation = max(statistics.stdev(gains), resolution) if count > 1 else math.nan
    if count < FEWEST_SEEDS:
        return Paired(count, mean, deviation, -math.inf, math.inf, 1.0)
    if deviation == 0:
        return Paired(count, mean, 0.0, mean, mean, 0.0 if mean else 1.0)
    error = deviation / math.sqrt(count)
    half = float(t.ppf(1 - LEVEL / 2, count - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, count - 1))
    return Paired(count, mean, deviation, mean - half, mean + half, p)
