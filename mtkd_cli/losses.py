"""Losses, per element: no reduction, no mixing with other losses. B samples, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli import world


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


def channel_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return ``T^2 KL`` between the maps of each class, as distributions over places, ``[B, C]``.

    Channel-wise distillation (CWD, ICCV 2021, arXiv 2011.13256), before the mean over classes.

    Args:
        student: ``[B, C, H, W]`` logits.
        teacher: ``[B, C, H, W]`` logits.
        temperature: T.
    """
    log_q, log_p = (F.log_softmax(maps.flatten(2) / temperature, dim=2) for maps in (student, teacher))
    loss: Tensor = temperature**2 * (log_p.exp() * (log_p - log_q)).sum(dim=2)
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


def share_of_mean(loss: Tensor, counted: Tensor) -> Tensor:
    """Return this process's part of the mean over what counts in every process: their sum is the mean.

    Args:
        loss: per element.
        counted: bool, the same shape.
    """
    return torch.where(counted, loss, 0).sum() / world.summed(counted.sum()).clamp(min=1)


def squared_logits(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of logits over the classes, ``[B, *]``; both ``[B, C, *]``."""
    return (student - teacher).square().mean(dim=1)


def decoupled(student: Tensor, teacher: Tensor, temperature: float, alpha: float, beta: float) -> Tensor:
    """Return the decoupled distillation loss (DKD, CVPR 2022, arXiv 2203.08679), ``[B, *]``, times T^2.

    ``alpha`` weighs the divergence of the target class against all others together, ``beta`` that
    among the others. The target is the teacher's first choice: unlabelled samples have no other.

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


def relational(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the relational distillation loss (DIST, NeurIPS 2022, arXiv 2205.10536), ``[B]``, times T^2.

    One minus the correlation of student and teacher over the classes of each sample, and one minus
    that over the samples of the batch for each class, averaged over the classes.

    Args:
        student: ``[B, C]`` logits.
        teacher: ``[B, C]`` logits.
        temperature: T.
    """
    q, p = (F.softmax(logits / temperature, dim=1) for logits in (student, teacher))
    within = 1 - _correlation(q, p)
    across = (1 - _correlation(q.T, p.T)).mean() if len(q) > 1 else torch.zeros_like(within)
    return temperature**2 * (within + across)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return Pearson's correlation along the last dimension; 0 where one side is constant."""
    first, second = (values - values.mean(dim=-1, keepdim=True) for values in (first, second))
    return F.cosine_similarity(first, second, dim=-1, eps=1e-8)


def standardised(logits: Tensor) -> Tensor:
    """Return logits ``[B, C, *]`` with mean 0 and deviation 1 over the classes (arXiv 2403.01427).

    The deviation is that of a sample (C - 1 in the denominator), as in the code of the paper.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    variance = centred.square().sum(dim=1, keepdim=True) / max(1, logits.shape[1] - 1)
    return centred / variance.clamp(min=1e-12).sqrt()  # a root of 0 would have no gradient


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return ``0.5 (1 - cosine) + 0.5 smooth-L1``, ``[B]``, of features ``[B, D]`` (arXiv 2312.06709)."""
    angle = 1 - F.cosine_similarity(student, teacher, dim=1)
    return 0.5 * angle + 0.5 * F.smooth_l1_loss(student, teacher, reduction="none").mean(dim=1)
