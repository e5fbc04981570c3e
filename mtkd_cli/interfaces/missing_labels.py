"""Missing labels: -1 in integers, NaN in floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def label_mask(target: Tensor) -> Tensor:
    """Return the mask of existing labels, bool, with the target's shape."""
    return torch.isfinite(target) if target.is_floating_point() else target >= 0


def any_per_sample(labeled: Tensor) -> Tensor:
    """Return the mask ``[B]`` of samples with any True in ``[B, *]``."""
    return labeled if labeled.dim() == 1 else labeled.flatten(1).any(dim=1)


def has_label(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the mask ``[N]`` of samples with any label."""
    elements = tuple(range(1, targets.ndim))
    if targets.dtype.kind == "i":  # without an array of the masks' shape
        return np.asarray(targets.max(axis=elements, initial=-1) >= 0)
    is_label = np.isfinite(targets) if targets.dtype.kind == "f" else targets >= 0  # the targets' shape
    return np.asarray(is_label.any(axis=elements))


def missing_labels_like(targets: NDArray[Any]) -> NDArray[Any]:
    """Return an array of missing labels with the same shape and type."""
    return np.full_like(targets, np.nan if targets.dtype.kind == "f" else -1)


def missing_labels_as(target: Tensor) -> Tensor:
    """Return a tensor of missing labels with the same shape and type."""
    return torch.full_like(target, torch.nan if target.is_floating_point() else -1)
