"""A number with its interval over samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtkd_cli.interfaces.significant_digits import round_or_none

LEVEL = 0.95
"""Confidence level of printed intervals."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval over samples; the ends are infinite if there are too few samples."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    def __neg__(self) -> Estimate:
        return Estimate(-self.value, -self.high, -self.low)

    def as_dict(self) -> dict[str, float]:
        """Return the finite numbers for JSON."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: kept for name, number in numbers.items() if (kept := round_or_none(number)) is not None}


@dataclass(frozen=True)
class Difference(Estimate):
    """A difference of two numbers measured on the same samples.

    Attributes:
        p: two-sided p value of "no difference"; below 5 % exactly if the interval excludes zero.
    """

    p: float = 1.0

    @property
    def p_positive(self) -> float:
        """One-sided p value of "not positive"."""
        return self.p / 2 if self.value > 0 else 1 - self.p / 2

    def __neg__(self) -> Difference:
        return Difference(-self.value, -self.high, -self.low, self.p)


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return the difference of two numbers measured on different samples, at the level of their intervals.

    Method of variance estimates recovery (Zou and Donner 2008; for two shares it is Newcombe's interval):
    each end of the interval combines the distances of the two numbers to the matching ends of their
    intervals.
    """
    value = first.value - second.value
    below = math.hypot(first.value - first.low, second.high - second.value)
    above = math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, value - below, value + above)
