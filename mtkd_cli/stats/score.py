"""A task's metric on N samples, with the values that intervals and comparisons need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import Task
from mtkd_cli.stats import jackknife
from mtkd_cli.stats.estimate import LEVEL, Difference, Estimate
from mtkd_cli.stats.shares import paired_difference, share

Numbers = NDArray[np.float64]

NEAR = 1e-4
"""Relative tolerance between a metric and the mean of its column, for rounding in float32."""


GROUPS = 100
"""Maximum number of groups of samples for the intervals of metrics that do not decide."""


@dataclass(frozen=True)
class Score:
    """A number measured on N samples.

    Attributes:
        value: the number.
        samples: number of samples N.
        without: the number without each sample or group of samples, ``[G]``; see `jackknife`.
        right: 1 or 0 for each sample (NaN: ignored), ``[N]``, if the number is a share; else None.
    """

    value: float
    samples: int
    without: Numbers
    right: Numbers | None = None

    def estimate(self, level: float = LEVEL) -> Estimate:
        """Return the number with its interval over samples: Wilson's for a share, else the jackknife's."""
        if self.right is not None:
            valid = self.right[~np.isnan(self.right)]
            return share(int(valid.sum()), len(valid), level)
        return jackknife.interval(self.value, self.without, self.samples, level)

    def minus(self, other: Score) -> Difference:
        """Return the difference to another number on the same samples: exact for shares, else jackknife."""
        if self.right is not None and other.right is not None:
            mask = ~np.isnan(self.right)
            if np.array_equal(mask, ~np.isnan(other.right)):
                mine, theirs = self.right[mask] > 0, other.right[mask] > 0
                return paired_difference(int((mine & ~theirs).sum()), int((theirs & ~mine).sum()), len(mine))
        without = self.without - other.without
        return jackknife.difference(self.value - other.value, without, self.samples)


def score_of(task: Task, statistics: Tensor) -> Score:
    """Return the primary metric of samples from their statistics ``[N, S]``.

    Raises:
        PluginError: the metric is not the mean of the column that it names.
    """
    metric, count = task.primary, len(statistics)
    value = task.metrics(statistics)[metric.name]
    if metric.mean_of is None:
        return Score(
            value,
            count,
            jackknife.without_each(lambda rows: task.metrics(statistics[rows])[metric.name], count),
        )
    column = statistics[:, metric.mean_of].double().numpy()
    mask = ~np.isnan(column)
    found = mean_of(np.where(mask, column, 0), mask.astype(np.float64))
    if mask.any() and abs(found.value - value) > NEAR * max(1, abs(value)):
        raise PluginError(
            f"the metric {metric.name} is {value:.6g}, the mean of column {metric.mean_of} of the statistics "
            f"is {found.value:.6g}",
            where=type(task).__name__,
            hint="set Metric.mean_of to the column whose mean is the metric, or remove it",
        )
    is_share = bool(np.isin(column[mask], (0, 1)).all())
    return Score(value, count, found.without, column if is_share else None)


def estimates(task: Task, statistics: Tensor) -> dict[str, Estimate]:
    """Return every metric of samples with its interval, by their statistics ``[N, S]``.

    The interval of the primary metric is that of `score_of`; of the others it is the jackknife's.

    Raises:
        PluginError: the primary metric is not the mean of the column that it names.
    """
    values, count = task.metrics(statistics), len(statistics)
    every, groups = np.arange(count), jackknife.groups_of(count, GROUPS)
    without = [task.metrics(statistics[np.delete(every, group)]) for group in groups]
    found = {
        name: jackknife.interval(value, np.array([each[name] for each in without]), count)
        for name, value in values.items()
    }
    return {**found, task.primary.name: score_of(task, statistics).estimate()}


def mean_of(sums: Numbers, counts: Numbers) -> Score:
    """Return ``sum(sums) / sum(counts)``; both arguments are ``[N]``."""
    value = float(sums.sum() / max(counts.sum(), 1))
    return Score(value, len(sums), jackknife.means_without_each(sums, counts))
