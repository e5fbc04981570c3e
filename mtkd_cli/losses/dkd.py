"""Decoupled knowledge distillation. B samples, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dkd_loss(
    student: Tensor, teacher: Tensor, temperature: float, alpha: float = 1.0, beta: float = 2.0
) -> Tensor:
    """Return the decoupled distillation loss (DKD, CVPR 2022, arXiv 2203.08679), ``[B, *]``, times T^2.

    ``alpha`` is the weight of the divergence between the target class and all others together, ``beta`` of
    the divergence among the others. The target is the teacher's most likely class, also for labeled samples.

    Args:
        student: ``[B, C, *]`` logits.
        teacher: ``[B, C, *]`` logits.
        temperature: T.
        alpha: weight of the target class.
        beta: weight of the other classes.
    """
    target = teacher.argmax(dim=1, keepdim=True)  # [B, 1, *]
    is_target = torch.zeros_like(teacher, dtype=torch.bool).scatter(1, target, value=True)  # [B, C, *]
    log_q, log_p = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    # distributions over the other classes: [B, C, *], with probability 0 for the target
    others_q, others_p = (
        F.log_softmax(torch.where(is_target, -1e9, logits / temperature), dim=1)
        for logits in (student, teacher)
    )
    target_loss = _binary_divergence(log_p.gather(1, target), log_q.gather(1, target)).squeeze(1)
    others_loss = torch.where(is_target, 0, others_p.exp() * (others_p - others_q)).sum(dim=1)
    return temperature**2 * (alpha * target_loss + beta * others_loss)


def _binary_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return ``KL((p, 1-p) || (q, 1-q))`` from logarithms of p and q."""
    other_p, other_q = (_log_complement(value) for value in (log_p, log_q))
    return log_p.exp() * (log_p - log_q) + other_p.exp() * (other_p - other_q)


def _log_complement(log_p: Tensor) -> Tensor:
    """Return ``log(1 - p)``, finite also where p rounds to 1."""
    return torch.log(-torch.expm1(log_p.clamp(max=-1e-7)))
