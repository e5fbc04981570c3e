"""One temperature per teacher, fitted on validation labels."""

from __future__ import annotations

import math

import torch
from scipy.optimize import brentq
from torch import Tensor

from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.report.calibration import Calibration

LARGEST = 20.0
"""Largest temperature that is taken, and one over the smallest."""

FLAT = 1e-4
"""Slope that counts as none: a teacher that is always right is best at no temperature, up to rounding."""


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
