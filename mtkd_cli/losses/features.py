"""A loss between features of student and teacher. B samples, D features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return ``0.5 (1 - cosine) + 0.5 smooth-L1``, ``[B]``, of features ``[B, D]`` (arXiv 2312.06709)."""
    angle = 1 - F.cosine_similarity(student, teacher, dim=1)
    return 0.5 * angle + 0.5 * F.smooth_l1_loss(student, teacher, reduction="none").mean(dim=1)
