"""A teacher's temperature and offset, and how they were fitted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """A teacher's temperature and the fit that it results from.

    Attributes:
        temperature: divisor of the teacher's logits.
        labels: number of labels (of samples, or of pixels) that it was fitted to; of a detector, the number
            of its boxes on labeled samples.
        before: mean negative log-likelihood of these labels at temperature 1.
        after: mean negative log-likelihood at the fitted temperature.
        kept: reason why the temperature stays 1; empty if it was fitted.
        offset: number that is added to the logits of scores before the division; 0 for class logits.
    """

    temperature: float
    labels: int
    before: float
    after: float
    kept: str = ""
    offset: float = 0.0

    @property
    def summary(self) -> str:
        """The calibration in words."""
        if self.kept:
            return f"temperature 1: {self.kept}"
        fitted_to = (
            f"{self.labels} boxes on labeled samples" if self.offset else f"{self.labels} validation labels"
        )
        return f"{self.numbers}, fitted to {fitted_to} (NLL {self.before:.4f} to {self.after:.4f})"

    @property
    def numbers(self) -> str:
        """The temperature, and the offset if there is one."""
        offset = f", offset {self.offset:+.2g}" if self.offset else ""
        return f"temperature {self.temperature:.3g}{offset}"
