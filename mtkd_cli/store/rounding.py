"""The largest rounding error of a teacher's recorded outputs, stored with each shard."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.interfaces.missing_outputs import has_nonfinite
from mtkd_cli.store.row_format import VALUES, Layout


@dataclass(frozen=True)
class Rounding:
    """The largest change of outputs, in the quantities of `Layout.to_comparable`.

    Attributes:
        error: the largest change of a probability, or of a value.
        low: the smallest value; 0 of probabilities.
        high: the largest value; 1 of probabilities.
    """

    error: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def relative(self) -> float:
        """The error as a share of the values' range."""
        spread = self.high - self.low
        return self.error / spread if spread > 0 else math.inf if self.error else 0.0

    def as_list(self) -> list[float]:
        """Return error, smallest and largest value."""
        return [self.error, self.low, self.high]


def measure_rounding(layout: Layout, output: Tensor, rows: NDArray[Any]) -> Rounding:
    """Return how much `Layout.encode` changed outputs ``[B, C, *]``; rows with NaN are skipped."""
    is_finite = ~has_nonfinite(output)
    if not is_finite.any():
        return Rounding()
    exact = layout.to_comparable(output[is_finite])
    error = (layout.to_comparable(layout.decode(rows)[is_finite]) - exact).abs().max().item()
    if layout.kind != VALUES:
        return Rounding(error, 0, 1)
    return Rounding(error, exact.min().item(), exact.max().item())


def max_rounding(parts: Iterable[Rounding]) -> Rounding:
    """Return the rounding of several parts together: largest error, smallest and largest value."""
    roundings = list(parts)
    if not roundings:
        return Rounding()
    return Rounding(
        max(p.error for p in roundings), min(p.low for p in roundings), max(p.high for p in roundings)
    )


def describe_rounding(rounding: Rounding, kind: str) -> str:
    """Describe the largest rounding error in words.

    Args:
        rounding: rounding of the outputs.
        kind: kind of the outputs, see `Layout`.
    """
    if kind == VALUES:
        return (
            f"values rounded by at most {rounding.relative:.1g} of their range" if rounding.error else "exact"
        )
    return f"probabilities rounded by at most {rounding.error:.1g}"
