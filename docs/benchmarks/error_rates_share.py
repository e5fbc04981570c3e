"""Parts of the error rate benchmark: percentages, and the percentile bootstrap of mtkd 0.2."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng

DRAWS = 500
Numbers = NDArray[np.float64]


def share(count: int, of: int) -> str:
    """Return a percentage with the standard error of the simulation."""
    p = count / of
    return f"{100 * p:.1f} ± {100 * max(p * (1 - p), 1 / of) ** 0.5 / of**0.5:.1f}"


@functools.lru_cache(maxsize=4)
def drawn(samples: int) -> Numbers:
    """Return the count of each sample in each bootstrap draw, ``[draws, N]``, with the draws of mtkd 0.2."""
    rows = [counter_rng.generator("bootstrap", d).integers(0, samples, samples) for d in range(DRAWS)]
    return np.stack([np.bincount(row, minlength=samples) for row in rows]).astype(float)


def percentile(value: float, draws: Numbers) -> tuple[float, float]:
    """Return the interval of mtkd 0.2: quantiles of the draws, centered at the value."""
    low, high = np.quantile(draws, [0.025, 0.975]) + value - draws.mean()
    return float(low), float(high)
