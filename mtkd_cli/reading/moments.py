"""Mean and standard deviation of columns, accurate for values far from zero and at any scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_and_deviation(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation ``[F]`` of the finite values in each column.

    A column without finite values has mean 0 and deviation 1; a constant column has deviation 1.

    Args:
        values: ``[N, F]``, with NaN for missing values.
    """
    mean, deviation = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for index, column in enumerate(values.T):
        finite = column[np.isfinite(column)]
        if len(finite):
            first, extent = finite[0], float(np.ptp(finite))
            scaled = (finite - first) / (extent or 1.0)  # -1 to 1: squares neither overflow nor underflow
            mean[index] = first + scaled.mean() * extent
            deviation[index] = scaled.std() * extent or 1.0
    return mean, deviation
