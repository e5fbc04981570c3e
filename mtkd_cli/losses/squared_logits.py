"""Squared differences of logits. B samples, C classes."""

from __future__ import annotations

from torch import Tensor


def squared_logits(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the mean squared difference of logits over the classes, ``[B, *]``; both ``[B, C, *]``.

    ``temperature`` has no effect: up to a factor, this is the limit of the softened divergence for large T.
    """
    return (student - teacher).square().mean(dim=1)
