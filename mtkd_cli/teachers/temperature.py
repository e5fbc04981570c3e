"""One temperature per teacher, fitted on validation labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN

LARGEST = 20.0
"""Largest temperature that is taken, and one over the smallest."""

FLAT = 1e-4
"""Slope that counts as none: a teacher that is always right is best at no temperature, up to rounding."""


@dataclass(frozen=True)
class Calibration:
    """A teacher's temperature, and how it was found.

    Attributes:
        temperature: what its logits are divided by.
        labels: samples, or pixels, that it was fitted to.
        before: mean negative log-likelihood of their labels at temperature 1.
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
        """Return the calibration in words."""
        if self.kept:
            return f"temperature 1: {self.kept}"
        return (
            f"temperature {self.temperature:.3g}, fitted to {self.labels} labels of validation "
            f"(NLL {self.before:.4f} to {self.after:.4f})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the calibration for a report."""
        return vars(self)


def softened(outputs: Tensor, temperature: float | Tensor) -> Tensor:
    """Return logits divided by a temperature; those of classes that a teacher does not know stay so."""
    return torch.where(outputs == UNKNOWN, outputs, outputs / temperature)


def calibration_of(outputs: Tensor, target: Tensor, task: Task) -> Calibration:
    """Return the temperature at which the labels are most likely.

    In one over the temperature the negative log-likelihood is convex, so it falls and then rises: the
    best one is where the slope is 0.

    Args:
        outputs: logits ``[N, C]`` in the task's classes.
        target: their labels, all of them of classes that are known.
        task: whose `error` is the negative log-likelihood.
    """
    if not len(outputs):
        return Calibration(1.0, 0, 0.0, 0.0, "no label of validation to judge it by")

    def likelihood(log_temperature: Tensor) -> Tensor:
        return task.error((softened(outputs, log_temperature.exp()),), target)[0].double().mean()

    def slope(log_temperature: float) -> float:
        point = torch.tensor(log_temperature, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(likelihood(point), point)[0])

    before = float(likelihood(torch.zeros(())))
    low, high = -math.log(LARGEST), math.log(LARGEST)
    if not (slope(low) < -FLAT and slope(high) > FLAT):
        kept = f"none between {1 / LARGEST:g} and {LARGEST:g} is best"
        return Calibration(1.0, len(outputs), before, before, kept)
    best = brentq(slope, low, high)
    return Calibration(math.exp(best), len(outputs), before, float(likelihood(torch.tensor(best))))
