"""One temperature per teacher, fitted on validation labels."""

from __future__ import annotations

import math

import torch
from scipy.optimize import brentq
from torch import Tensor

from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.report.calibration import Calibration

MAX_TEMPERATURE = 20.0
"""Largest temperature; the smallest is 1 / MAX_TEMPERATURE."""

MIN_SLOPE = 1e-4
"""Slope that counts as 0: for a teacher that is always right, the loss falls forever, up to rounding."""


def divide_by_temperature(outputs: Tensor, temperature: float | Tensor) -> Tensor:
    """Divide logits by a temperature; the logits of unknown classes keep the value `UNKNOWN`."""
    return torch.where(outputs == UNKNOWN, outputs, outputs / temperature)


def fit_temperature(outputs: Tensor, target: Tensor, task: Task) -> Calibration:
    """Fit the temperature that makes the labels most likely.

    The negative log-likelihood is convex in 1 / temperature, so its minimum is the root of its slope.

    Args:
        outputs: logits in the task's classes, ``[N, C]``.
        target: labels of classes that the teacher knows, ``[N]``.
        task: task whose `error` is the negative log-likelihood.
    """
    if not len(outputs):
        return Calibration(1.0, 0, 0.0, 0.0, "no usable validation labels")

    def mean_error(log_temperature: Tensor) -> Tensor:
        return task.error((divide_by_temperature(outputs, log_temperature.exp()),), target)[0].double().mean()

    def slope(log_temperature: float) -> float:
        point = torch.tensor(log_temperature, dtype=torch.float64, requires_grad=True)
        return float(torch.autograd.grad(mean_error(point), point)[0])

    before = float(mean_error(torch.zeros(())))
    low, high = -math.log(MAX_TEMPERATURE), math.log(MAX_TEMPERATURE)
    if not (slope(low) < -MIN_SLOPE and slope(high) > MIN_SLOPE):
        kept = f"no optimum between {1 / MAX_TEMPERATURE:g} and {MAX_TEMPERATURE:g}"
        return Calibration(1.0, len(outputs), before, before, kept)
    best = brentq(slope, low, high)
    return Calibration(math.exp(best), len(outputs), before, float(mean_error(torch.tensor(best))))
