"""One temperature per teacher, fitted on validation labels with a prior of temperature 1."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mtkd_cli.interfaces import Task
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.report.calibration import Calibration

MAX_TEMPERATURE = 20.0
"""Largest temperature; the smallest is 1 / MAX_TEMPERATURE."""

PRIOR = 1.0
"""Standard deviation of the prior on the log of a temperature: 95 % of temperatures are within 1/7 and 7."""

STARTS = 13
"""Temperatures that are tried before the best of them is refined."""


def divide_by_temperature(outputs: Tensor, temperature: float | Tensor) -> Tensor:
    """Divide logits by a temperature; the logits of unknown classes keep the value `UNKNOWN`."""
    return torch.where(outputs == UNKNOWN, outputs, outputs / temperature)


def fit_temperature(outputs: Tensor, target: Tensor, task: Task) -> Calibration:
    """Return the most probable temperature T, given the labels and a prior.

    Minimizes ``n NLL(T) + (log T)^2 / 2``, the prior being log T ~ N(0, `PRIOR`^2). So a few labels that are
    all right (or all wrong) do not give an extreme temperature; with many labels the prior has no effect.

    Args:
        outputs: logits in the task's classes, ``[N, C]``.
        target: labels of classes that the teacher knows, ``[N]``.
        task: task whose `error` is the negative log-likelihood.
    """
    count = len(outputs)
    if not count:
        return Calibration(1.0, 0, 0.0, 0.0, "no usable validation labels")

    def mean_error(log_temperature: Tensor) -> Tensor:
        return task.error((divide_by_temperature(outputs, log_temperature.exp()),), target)[0].double().mean()

    def objective(log_temperature: float) -> float:
        fit = float(mean_error(torch.tensor(log_temperature, dtype=torch.float64)))
        return fit + log_temperature**2 / (2 * PRIOR**2 * count)

    def slope(log_temperature: float) -> float:
        point = torch.tensor(log_temperature, dtype=torch.float64, requires_grad=True)
        gradient = torch.autograd.grad(mean_error(point), point)[0]
        return float(gradient) + log_temperature / (PRIOR**2 * count)

    # the best of a few temperatures, then the root of the slope between its neighbors
    grid = np.linspace(-math.log(MAX_TEMPERATURE), math.log(MAX_TEMPERATURE), STARTS).tolist()
    index = min(range(STARTS), key=lambda i: objective(grid[i]))
    low, high = grid[max(index - 1, 0)], grid[min(index + 1, STARTS - 1)]
    from scipy.optimize import brentq  # a second of imports, needed by few runs

    best = brentq(slope, low, high) if slope(low) < 0 < slope(high) else grid[index]
    before, after = (float(mean_error(torch.tensor(u, dtype=torch.float64))) for u in (0.0, best))
    return Calibration(math.exp(best), count, before, after)
