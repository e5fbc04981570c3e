"""The paired bootstrap: what a number would have been on other samples of the same kind."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.significant_digits import rounded

LEVEL = 0.95
MOST_KEPT = 2**13
"""Samples up to which draws are kept: an audit measures dozens of answers on the same ones."""


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval over samples."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, -self.high, -self.low)

    def as_dict(self) -> dict[str, float]:
        """Return the numbers for JSON; what is not finite is left out."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: kept for name, number in numbers.items() if (kept := rounded(number)) is not None}


def drawn(number: int, samples: int) -> NDArray[np.int64]:
    """Return the samples of one draw: the same for everyone who is measured on them, so draws pair up."""
    return _kept(number, samples) if samples <= MOST_KEPT else _draw(number, samples)


def _draw(number: int, samples: int) -> NDArray[np.int64]:
    return counter_rng.generator("bootstrap", number).integers(0, samples, samples)


_kept = functools.lru_cache(maxsize=512)(_draw)


def scores(task: Task, statistics: Tensor, draws: int) -> NDArray[np.float64]:
    """Return the primary metric of each draw, ``[draws]``, from statistics ``[N, S]``."""
    name = task.primary.name
    return np.array([task.metrics(statistics[drawn(d, len(statistics))])[name] for d in range(draws)])


def means(values: NDArray[Any], counts: NDArray[Any], draws: int) -> NDArray[np.float64]:
    """Return ``sum(values) / sum(counts)`` of each draw, ``[draws]``, from ``[N]`` each."""
    rows = (drawn(number, len(values)) for number in range(draws))
    return np.array([values[chosen].sum() / max(counts[chosen].sum(), 1) for chosen in rows])


def estimate(value: float, found: NDArray[np.float64]) -> Estimate:
    """Return a number with the interval of its draws: their 2.5 % and 97.5 % quantiles, moved to it.

    Moved, because some metrics are off on average where samples stand twice (average precision is).
    """
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) + (value - found.mean())
    return Estimate(value, float(low), float(high))


def difference(
    first: tuple[float, NDArray[np.float64]], second: tuple[float, NDArray[np.float64]]
) -> Estimate:
    """Return the first minus the second, each a number and its draws over the same samples."""
    return estimate(first[0] - second[0], first[1] - second[1])
