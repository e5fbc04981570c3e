"""Squared differences of logits. B samples, C classes."""

from __future__ import annotations

from torch import Tensor


def squared_logits(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of logits over the classes, ``[B, *]``; both ``[B, C, *]``."""
    return (student - teacher).square().mean(dim=1)
