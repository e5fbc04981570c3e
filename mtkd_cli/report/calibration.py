"""A teacher's temperature and how it was fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """A teacher's temperature and the fit that it results from.

    Attributes:
        temperature: divisor of the teacher's logits.
        labels: number of labels (of samples, or of pixels) that it was fitted to.
        before: mean negative log-likelihood of these labels at temperature 1.
        after: mean negative log-likelihood at the fitted temperature.
        kept: reason why the temperature stays 1; empty if it was fitted.
    """

    temperature: float
    labels: int
    before: float
    after: float
    kept: str = ""

    @property
    def summary(self) -> str:
        """The calibration in words."""
        if self.kept:
            return f"temperature 1: {self.kept}"
        return (
            f"temperature {self.temperature:.3g}, fitted to {self.labels} validation labels "
            f"(NLL {self.before:.4f} to {self.after:.4f})"
        )
