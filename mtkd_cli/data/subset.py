"""Choose a representative subset of rows, whatever the order of the data.

Class folders are read class by class and video frames in time, so neither the first rows nor every n-th row
represent all rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng


def sample_rows(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return ``count`` of the rows in their order, or all rows if there are fewer.

    The rows are divided into ``count`` intervals of about equal length, and one row is drawn from each
    (stratified sampling). Counter-based: every call returns the same rows, also for periodic data.

    Args:
        rows: ``[N]``, in any order.
        count: number of rows; 0 or less means 1.
    """
    count = max(1, count)
    if len(rows) <= count:
        return rows
    edges = np.arange(count + 1) * len(rows) // count  # [count + 1], starts of the intervals
    offset = counter_rng.generator("subset", len(rows), count).random(count) * np.diff(edges)
    return rows[edges[:-1] + offset.astype(np.int64)]


def shuffled_sample_rows(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the rows of `sample_rows`, shuffled, so that each batch represents all rows too."""
    chosen = sample_rows(rows, count)
    return chosen[counter_rng.permutation(len(chosen), "mixed")]
