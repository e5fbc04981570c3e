"""Gaussian outputs, a mean and a log-variance per value: mixture and likelihood."""

from __future__ import annotations

import math

from torch import Tensor

MIN_VARIANCE, MAX_VARIANCE = 1e-4, 1e8
"""Range that variances are clamped to, relative to the target's variance."""


def mixture(mean: Tensor, variance: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of a mixture of Gaussians: ``sum_k w_k (var_k + mu_k^2) - mu^2``.

    It is computed about the mixture's mean, an equivalent form without cancellation.

    Args:
        mean: ``[K, *]``.
        variance: ``[K, *]``.
        weights: ``[K, *]``, sum 1.
    """
    mixed = (weights * mean).sum(dim=0)
    spread = (weights * (variance + (mean - mixed).square())).sum(dim=0)
    return mixed, spread


def nll(mean: Tensor, log_variance: Tensor, target: Tensor, spread: Tensor | float = 0.0) -> Tensor:
    """Return the expected negative log-likelihood ``[*]``, without its constant, in standard units.

    Args:
        mean: predicted mean, ``[*]``.
        log_variance: predicted log-variance, ``[*]``.
        target: label, or mean of the target distribution, ``[*]``.
        spread: variance of the target distribution; 0 for a label.
    """
    log_variance = log_variance.clamp(math.log(MIN_VARIANCE), math.log(MAX_VARIANCE))
    return 0.5 * (log_variance + (spread + (target - mean).square()) / log_variance.exp())
