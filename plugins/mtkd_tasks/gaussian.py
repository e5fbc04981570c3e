"""Gaussian answers: a mean and the logarithm of a variance. Everything per value, in any one unit."""

from __future__ import annotations

import math

from torch import Tensor

SMALLEST, LARGEST = 1e-4, 1e8
"""Variances that are told apart, as shares of the target's: to be surer or less sure changes nothing."""


def mixture(mean: Tensor, variance: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of a mixture of Gaussians: ``sum_k w_k (var_k + mu_k^2) - mu^2``.

    The variance is taken about the mixture's mean, which is the same and loses no digits.

    Args:
        mean: ``[K, *]``.
        variance: ``[K, *]``.
        weights: ``[K, *]``, sum 1.
    """
    together = (weights * mean).sum(dim=0)
    spread = (weights * (variance + (mean - together).square())).sum(dim=0)
    return together, spread


def nll(mean: Tensor, log_variance: Tensor, target: Tensor, spread: Tensor | float = 0.0) -> Tensor:
    """Return the expected negative log-likelihood, without its constant, of values in standard units.

    Args:
        mean: the answer's.
        log_variance: the answer's.
        target: a label, or the mean of a distribution of labels.
        spread: the variance of that distribution.
    """
    log_variance = log_variance.clamp(math.log(SMALLEST), math.log(LARGEST))
    return 0.5 * (log_variance + (spread + (target - mean).square()) / log_variance.exp())
