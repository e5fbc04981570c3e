"""Standardization of logits over the classes."""

from __future__ import annotations

from torch import Tensor


def standardized(logits: Tensor) -> Tensor:
    """Return logits ``[B, C, *]`` with mean 0 and deviation 1 over the classes (arXiv 2403.01427).

    The deviation is that of a sample (C - 1 in the denominator), as in the code of the paper.
    """
    centered = logits - logits.mean(dim=1, keepdim=True)
    variance = centered.square().sum(dim=1, keepdim=True) / max(1, logits.shape[1] - 1)
    return centered / variance.clamp(min=1e-12).sqrt()  # a root of 0 would have no gradient
