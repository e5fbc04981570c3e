"""Calibrate the scores of answers, such as boxes: two numbers per teacher (Platt scaling)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.report.calibration import Calibration
from mtkd_cli.teachers.temperature import MAX_TEMPERATURE, PRIOR

MAX_OFFSET = 20.0
"""Largest offset of a logit, in both directions."""
SURE = 1e-6
"""Distance to 0 and 1 that scores keep, so that their logits are finite."""


def calibrate_scores(scores: Tensor, calibration: Calibration) -> Tensor:
    """Return ``sigmoid((logit(score) + offset) / temperature)``: the probability that an answer is right."""
    logits = scores.clamp(SURE, 1 - SURE).logit() + calibration.offset
    return (logits / calibration.temperature).sigmoid()


def fit_scores(scores: Tensor, hits: Tensor) -> Calibration:
    """Return the most probable temperature T and offset b, given which answers are right and a prior.

    Minimizes ``n NLL(T, b) + (log T)^2 / 2 + b^2 / 2``, see `temperature.fit_temperature`. The likelihood is
    that of ``hits``, if the answers are right with the probability of `calibrate_scores`.

    Args:
        scores: score of each answer, from 0 to 1, ``[N]``.
        hits: whether the answer is right, ``[N]`` bool.
    """
    count = len(scores)
    if not count:
        return Calibration(1.0, 0, 0.0, 0.0, "no usable validation labels")
    logits = scores.double().clamp(SURE, 1 - SURE).logit().numpy()
    right = hits.double().numpy()

    def likelihood(log_temperature: float, offset: float) -> tuple[float, NDArray[np.float64]]:
        """Return the summed negative log-likelihood and its gradient."""
        slope = math.exp(-log_temperature)
        z = (logits + offset) * slope
        error = 1 / (1 + np.exp(-z)) - right
        loss = np.logaddexp(0, z).sum() - (right * z).sum()
        return float(loss), np.array([-(error * z).sum(), slope * error.sum()])

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        loss, gradient = likelihood(*point)
        return loss + float(point @ point) / (2 * PRIOR**2), gradient + point / PRIOR**2

    from scipy.optimize import minimize  # a second of imports, needed by few runs

    limit = math.log(MAX_TEMPERATURE)
    bounds = [(-limit, limit), (-MAX_OFFSET, MAX_OFFSET)]
    best = minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=bounds).x
    before, after = likelihood(0.0, 0.0)[0] / count, likelihood(*best)[0] / count
    return Calibration(math.exp(best[0]), count, before, after, offset=float(best[1]))
