"""Class weights in the distillation loss: they act on a teacher's outputs as on labels."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.interfaces import Merged

SMALLEST = 1e-12
"""Minimum weight in the logarithm, so that it is finite."""


def apply_class_weights(merged: Merged, class_weights: Tensor) -> tuple[Merged, Tensor]:
    """Return the teachers' outputs shifted by class weights, and the weight of each element, ``[B, *]``.

    For labels drawn from ``p``, the loss with class weights ``w`` is ``-sum_c w_c p_c log q_c = W CE(w p / W,
    q)`` with ``W = sum_c w_c p_c``: the student learns odds that are ``w`` times those of ``p``, from an
    element with weight ``W``. A teacher's output ``p = softmax(z)`` has the same effect: ``z + log w``
    replaces ``z``, *before* any temperature, and the teacher has ``W`` times the weight. So the student's
    odds are ``w`` times the teacher's at every temperature, and a teacher that is certain has the same effect
    as a label.

    Args:
        merged: the teachers' logits ``[B, C, *]``.
        class_weights: ``[C]``, or ``[C, *]`` if elements differ; >= 0.

    Raises:
        ValueError: neither weights nor a combined output.
    """
    first = merged.outputs[0] if merged.combined is None else merged.combined
    # [C] or [C, *] -> [1, C, *], to broadcast with logits [B, C, *]
    ones = (1,) * (first.dim() - 1 - class_weights.dim())
    weights = class_weights.to(first.device).view(1, *class_weights.shape, *ones).clamp(min=SMALLEST)
    if merged.combined is not None:
        combined = merged.combined.float()
        return replace(merged, combined=combined + weights.log()), _mean_weight(combined, weights)
    if merged.weights is None:
        raise ValueError("neither weights nor a combined output")
    outputs = [output.float() for output in merged.outputs]
    counts = merged.weights * torch.stack([_mean_weight(output, weights) for output in outputs])  # [K, B, *]
    total = counts.sum(dim=0)  # [K, B, *] -> [B, *]
    shares = counts / total.clamp(min=torch.finfo(total.dtype).tiny)
    return replace(merged, outputs=tuple(output + weights.log() for output in outputs), weights=shares), total


def _mean_weight(logits: Tensor, weights: Tensor) -> Tensor:
    """Return ``sum_c w_c p_c``, ``[B, *]``, of logits ``[B, C, *]``."""
    return (F.softmax(logits, dim=1) * weights).sum(dim=1)
