"""A teacher's temperature, and how it was found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """A teacher's temperature, and how it was found.

    Attributes:
        temperature: divisor of the teacher's logits.
        labels: number of labels (of samples, or of pixels) that it was fitted to.
        before: mean negative log-likelihood of these labels at temperature 1.
        after: the same at the temperature.
        kept: why the temperature is 1; empty if it was fitted.
    """

    temperature: float
    labels: int
    before: float
    after: float
    kept: str = ""

    @property
    def said(self) -> str:
        """The calibration in words."""
        if self.kept:
            return f"temperature 1: {self.kept}"
        return (
            f"temperature {self.temperature:.3g}, fitted to {self.labels} labels of validation "
            f"(NLL {self.before:.4f} to {self.after:.4f})"
        )
