"""Compare, add seeds, compare again: the significance level of each look, and how many seeds to add.

A user who adds seeds until a difference is significant tests several times. An alpha-spending function (Lan
and DeMets 1983) gives each look a part of the level, so that all looks together keep it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng
from mtkd_cli.stats.paired_test import FEWEST_SEEDS, LEVEL, Paired

HALF_AT = 3
"""Number of seeds at which half of the level is spent."""
MOST_SEEDS = 30
"""Largest number of seeds that is advised."""
LIKELY = 0.8
"""Minimum chance that the advised number of seeds settles a test."""
DRAWS = 2000


@dataclass(frozen=True)
class Look:
    """One comparison of the same methods, perhaps after others with fewer seeds.

    Attributes:
        seeds: number of different seeds in this comparison and all earlier ones.
        seen: number of different seeds in earlier ones.
    """

    seeds: int
    seen: int = 0

    @property
    def level(self) -> float:
        """Significance level of this look. The levels of all looks add up to 5 % at most."""
        return max(0.0, cumulative_level(self.seeds) - cumulative_level(self.seen))


def cumulative_level(seeds: int) -> float:
    """Return the level that all looks with up to so many seeds may use; 0 below three seeds."""
    return LEVEL * (1 - HALF_AT / 2 / seeds) if seeds >= FEWEST_SEEDS else 0.0


def seeds_to_settle(test: Paired, family: int, look: Look) -> int | None:
    """Return how many seeds are likely to settle a test at the next look, in the direction of its gain.

    The true gain and deviation are uncertain after a few seeds. So the chance is predictive: it averages
    over what they can be, given the test. It counts a test as settled at the level of the next look,
    divided by the number of tests (Holm's first step).

    Args:
        test: the test at this look.
        family: number of tests that are read together.
        look: this look.

    Returns:
        the smallest number with a chance of 80 %; None if 30 seeds have less.
    """
    from scipy.stats import t

    if test.seeds < FEWEST_SEEDS or not test.deviation or test.gain == 0 or test.seeds >= MOST_SEEDS:
        return None
    counts = np.arange(test.seeds + 1, MOST_SEEDS + 1)
    added = counts - test.seeds
    levels = [Look(look.seeds + int(more), look.seeds).level for more in added]
    limits = t.isf(np.array(levels) / family / 2, counts - 1)
    settled = np.mean(_predicted_t(abs(test.gain) / test.deviation, test.seeds) > limits, axis=0)
    enough = np.flatnonzero(settled >= LIKELY)
    return int(counts[enough[0]]) if len(enough) else None


def _predicted_t(effect: float, seeds: int) -> NDArray[np.float64]:
    """Return draws of the t statistic with more seeds, ``[draws, MOST_SEEDS - seeds]``.

    Args:
        effect: mean gain of the seeds so far, in standard deviations.
        seeds: number of seeds so far.
    """
    chi2, shift, noise = _draws(seeds)
    # true deviation and mean, given the seeds so far (both with flat priors): [draws, 1]
    deviation = np.sqrt((seeds - 1) / chi2)
    mean = effect + deviation * shift / math.sqrt(seeds)
    # gains of further seeds: [draws, more]
    gains = mean + deviation * noise
    counts = np.arange(seeds + 1, MOST_SEEDS + 1)
    means = (seeds * effect + np.cumsum(gains, axis=1)) / counts
    squares = (seeds - 1) + seeds * effect**2 + np.cumsum(gains**2, axis=1)
    variances = (squares - counts * means**2) / (counts - 1)
    t: NDArray[np.float64] = means / np.sqrt(variances / counts)
    return t


@functools.cache
def _draws(seeds: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return chi-square, normal and normal draws, ``[draws, 1]``, ``[draws, 1]``, ``[draws, more]``."""
    rng = counter_rng.generator("seeds to settle", seeds)
    chi2 = rng.chisquare(seeds - 1, size=(DRAWS, 1))
    return chi2, rng.normal(size=(DRAWS, 1)), rng.normal(size=(DRAWS, MOST_SEEDS - seeds))
