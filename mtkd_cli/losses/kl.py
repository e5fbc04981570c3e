"""Kullback-Leibler divergence between softened class probabilities. B samples, C classes."""

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
