"""Cross-entropy to labels, of which some may be missing. B samples, C classes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(
    student: Tensor, target: Tensor, class_weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Return the cross-entropy to the labels, ``[B, *]``; 0 where the label is -1.

    Args:
        student: ``[B, C, *]`` logits.
        target: ``[B, *]`` class numbers, -1 where there is no label.
        class_weights: ``[C]``, or None.
        label_smoothing: share of each label spread over all classes.
    """
    return F.cross_entropy(
        student,
        target.long(),
        weight=class_weights,
        ignore_index=-1,
        reduction="none",
        label_smoothing=label_smoothing,
    )
