"""What a label is that is not there: -1 in integers, NaN in floats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def present(target: Tensor) -> Tensor:
    """Return where there is a label, bool, the target's shape."""
    return torch.isfinite(target) if target.is_floating_point() else target >= 0


def any_of(labelled: Tensor) -> Tensor:
    """Return which samples ``[B]`` have a label anywhere, from ``[B, *]`` bool."""
    return labelled if labelled.dim() == 1 else labelled.flatten(1).any(dim=1)


def labelled_rows(targets: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which samples ``[N]`` have any label."""
    there = np.isfinite(targets) if targets.dtype.kind == "f" else targets >= 0
    return np.asarray(there.any(axis=tuple(range(1, targets.ndim))))


def none_like(targets: NDArray[Any]) -> NDArray[Any]:
    """Return labels of the same shape and type, none of which is there."""
    return np.full_like(targets, np.nan if targets.dtype.kind == "f" else -1)


def without_labels(target: Tensor) -> Tensor:
    """Return labels of the same shape and type, none of which is there."""
    return torch.full_like(target, torch.nan if target.is_floating_point() else -1)
