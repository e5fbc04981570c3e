"""Losses, per element: no reduction, no mixing with other losses. B samples, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def kl_divergence(student: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 KL(target || softmax(student / T))``, ``[B, *]``.

    Args:
        student: ``[B, C, *]`` logits.
        target: ``[B, C, *]`` probabilities, already softened.
        temperature: T; the factor keeps the gradient's size (Hinton et al., arXiv 1503.02531).
    """
    log_student = F.log_softmax(student / temperature, dim=1)
    entropy = torch.special.entr(target).sum(dim=1)
    loss: Tensor = temperature**2 * (-(target * log_student).sum(dim=1) - entropy)
    return loss


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


def mean_over(loss: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of the elements that count, 0 if none does.

    Args:
        loss: per element.
        counted: bool, the same shape.
    """
    return torch.where(counted, loss, 0).sum() / counted.sum().clamp(min=1)
