"""The mean over the elements that count."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_over(loss: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the elements that count, 0 if none does.

    Args:
        loss: per element.
        counted: bool, the same shape.
    """
    return torch.where(counted, loss, 0).sum() / counted.sum().clamp(min=1)
