"""Class weights in the distillation loss: they shift a teacher's answer as they shift what labels teach."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.interfaces import Merged

SMALLEST = 1e-12
"""Weights below this count as this, so that their logarithm is finite."""


def reweighted(merged: Merged, class_weights: Tensor) -> tuple[Merged, Tensor]:
    """Return the teachers as class weights shift them, and how much each element counts, ``[B, *]``.

    Labels drawn from ``p`` teach a student under class weights ``w`` the loss ``-sum_c w_c p_c log q_c =
    W CE(w p / W, q)``, ``W = sum_c w_c p_c``: it learns odds that are ``w`` times those of ``p``, from an
    element that counts ``W``. A teacher's answer ``p = softmax(z)`` is learned in the same way:
    ``z + log w`` takes the place of ``z``, *before* any temperature, and the teacher counts ``W`` times as
    much. So the student's odds are ``w`` times the teacher's at every temperature, and a teacher that is
    certain is worth as much as a label.

    Args:
        merged: the teachers' logits ``[B, C, *]``.
        class_weights: ``[C]``, or ``[C, *]`` where elements differ; >= 0.
    """
    first = merged.outputs[0] if merged.combined is None else merged.combined
    ones = (1,) * (first.dim() - 1 - class_weights.dim())
    weights = class_weights.to(first.device).view(1, *class_weights.shape, *ones).clamp(min=SMALLEST)
    if merged.combined is not None:
        combined = merged.combined.float()
        return replace(merged, combined=combined + weights.log()), _mass(combined, weights)
    if merged.weights is None:
        raise ValueError("neither weights nor a combined answer")
    outputs = [output.float() for output in merged.outputs]
    counts = merged.weights * torch.stack([_mass(output, weights) for output in outputs])
    total = counts.sum(dim=0)
    shares = counts / total.clamp(min=torch.finfo(total.dtype).tiny)
    return replace(merged, outputs=tuple(output + weights.log() for output in outputs), weights=shares), total


def _mass(logits: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum_c w_c p_c``, ``[B, *]``, of logits ``[B, C, *]``."""
    return (F.softmax(logits, dim=1) * weights).sum(dim=1)
