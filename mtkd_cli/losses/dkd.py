"""Decoupled knowledge distillation. B samples, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def decoupled(
    student: Tensor, teacher: Tensor, temperature: float, alpha: float = 1.0, beta: float = 2.0
) -> Tensor:
    """Return the decoupled distillation loss (DKD, CVPR 2022, arXiv 2203.08679), ``[B, *]``, times T^2.

    ``alpha`` weighs the divergence of the target class against all others together, ``beta`` that
    among the others. The target is the teacher's first choice: unlabeled samples have no other.

    Args:
        student: ``[B, C, *]`` logits.
        teacher: ``[B, C, *]`` logits.
        temperature: T.
        alpha: weight of the target class.
        beta: weight of the other classes.
    """
    target = teacher.argmax(dim=1, keepdim=True)
    chosen = torch.zeros_like(teacher, dtype=torch.bool).scatter(1, target, value=True)
    log_q, log_p = (F.log_softmax(logits / temperature, dim=1) for logits in (student, teacher))
    others_q, others_p = (
        F.log_softmax(torch.where(chosen, -1e9, logits / temperature), dim=1) for logits in (student, teacher)
    )
    of_target = _binary_divergence(log_p.gather(1, target), log_q.gather(1, target)).squeeze(1)
    among_others = torch.where(chosen, 0, others_p.exp() * (others_p - others_q)).sum(dim=1)
    return temperature**2 * (alpha * of_target + beta * among_others)


def _binary_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Return ``KL((p, 1-p) || (q, 1-q))`` from logarithms of p and q."""
    rest_p, rest_q = (_log_of_rest(value) for value in (log_p, log_q))
    return log_p.exp() * (log_p - log_q) + rest_p.exp() * (rest_p - rest_q)


def _log_of_rest(log_p: Tensor) -> Tensor:
    """Return ``log(1 - p)``, finite also where p rounds to 1."""
    return torch.log(-torch.expm1(log_p.clamp(max=-1e-7)))
