"""Relational distillation by correlations. B samples, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relational(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the relational distillation loss (DIST, NeurIPS 2022, arXiv 2205.10536), ``[B]``, times T^2.

    Sum of two terms: one minus the correlation of student and teacher over the classes, for each sample;
    and one minus the correlation over the samples of the batch, averaged over the classes.

    Args:
        student: ``[B, C]`` logits.
        teacher: ``[B, C]`` logits.
        temperature: T.
    """
    q, p = (F.softmax(logits / temperature, dim=1) for logits in (student, teacher))
    over_classes = 1 - _correlation(q, p)  # [B, C] -> [B]
    over_samples = (1 - _correlation(q.T, p.T)).mean() if len(q) > 1 else torch.zeros_like(over_classes)
    return temperature**2 * (over_classes + over_samples)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation along the last dimension; 0 if one side is constant."""
    first, second = (values - values.mean(dim=-1, keepdim=True) for values in (first, second))
    return F.cosine_similarity(first, second, dim=-1, eps=1e-8)
