"""Mean over selected elements."""

from __future__ import annotations

import torch
from torch import Tensor


def mean_over(loss: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the selected elements; 0 if none is selected.

    Args:
        loss: loss per element, ``[B, *]``.
        counted: mask of the selected elements, bool, the same shape.
    """
    return torch.where(counted, loss, 0).sum() / counted.sum().clamp(min=1)
