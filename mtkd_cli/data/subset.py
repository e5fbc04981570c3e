"""Choose some of many rows so that no order of the data biases the choice.

Class folders are read class by class, frames of a video in time, so neither the first rows nor every n-th
row stand for all of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtkd_cli import counter_rng


def spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return ``count`` of the rows in their order, or all if there are no more.

    One row is drawn from each of ``count`` stretches of about equal length (stratified sampling), by
    counters: the same rows at every call, evenly spread, and in step with no period of the data.

    Args:
        rows: ``[N]``, in any order.
        count: rows to choose; at least one is chosen.
    """
    count = max(1, count)
    if len(rows) <= count:
        return rows
    edges = np.arange(count + 1) * len(rows) // count
    offset = counter_rng.generator("subset", len(rows), count).random(count) * np.diff(edges)
    return rows[edges[:-1] + offset.astype(np.int64)]


def mixed(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the rows of `spread` shuffled, so that each batch of them stands for all rows too."""
    chosen = spread(rows, count)
    return chosen[counter_rng.permutation(len(chosen), "mixed")]
