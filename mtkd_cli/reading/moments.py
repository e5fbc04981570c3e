"""Mean and deviation of columns far from zero, of any scale, and constant ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moments(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation ``[F]`` of what is not NaN in each column of ``[N, F]``, whatever its scale.

    The mean of a column that is empty is 0, the deviation of one that is empty or constant 1.
    """
    mean, deviation = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for place, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if len(known):
            first, spread = known[0], float(np.ptp(known))
            shares = (known - first) / (spread or 1.0)  # from -1 to 1: no square of them is lost
            mean[place] = first + shares.mean() * spread
            deviation[place] = shares.std() * spread or 1.0
    return mean, deviation
