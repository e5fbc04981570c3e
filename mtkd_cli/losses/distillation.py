"""Distillation loss to several teachers, from a loss to one teacher and its flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.interfaces import Merged
from mtkd_cli.interfaces.label_space import restrict_logits
from mtkd_cli.losses.class_mixture import mixed
from mtkd_cli.losses.kl import kl_divergence


@dataclass(frozen=True)
class DistillationLoss:
    """Distillation loss to one teacher, with its options set.

    Attributes:
        distance: function ``(student, teacher, temperature)`` of logits ``[B, C, *]`` that returns
            ``[B, *]``, or ``[B, C]`` with ``whole_maps``.
        needs_every_logit: whether it needs the logits of all classes; see `mtkd_cli.specs.LossSpec`.
        any_label_space: whether it supports teachers that know only some of the classes.
        to_mixture: whether ``teacher`` are softened probabilities, so that teachers are mixed first.
        whole_maps: whether it compares whole class maps.
    """

    distance: Callable[[Tensor, Tensor, float], Tensor]
    needs_every_logit: bool = True
    any_label_space: bool = False
    to_mixture: bool = False
    whole_maps: bool = False


KL = DistillationLoss(kl_divergence, needs_every_logit=False, any_label_space=True, to_mixture=True)


def loss_to_teachers(loss: DistillationLoss, student: Tensor, merged: Merged, temperature: float) -> Tensor:
    """Return the weighted sum over teachers of a loss, ``[B, *]``, of logits ``[B, C, *]``.

    If all teachers know all classes, a loss with ``to_mixture`` is computed once, to the mixture: its
    gradient equals that of the sum. With partial label spaces, each teacher's loss compares the student's
    distribution over the classes that the teacher knows (UHC, CVPR 2019, arXiv 1904.06062).

    Raises:
        ValueError: neither weights nor a combined output.
    """
    student = student.float()
    if loss.to_mixture and (merged.known is None or merged.weights is None):
        return loss.distance(student, mixed(merged, temperature), temperature)
    if merged.combined is not None:
        return loss.distance(student, merged.combined.float(), temperature)
    if merged.weights is None:
        raise ValueError("neither weights nor a combined output")
    losses = []  # K of [B, *]
    for k, output in enumerate(merged.outputs):
        teacher = output.float()
        target = F.softmax(teacher / temperature, dim=1) if loss.to_mixture else teacher
        own = student if merged.known is None else restrict_logits(student, merged.known[k])
        losses.append(merged.weights[k] * loss.distance(own, target, temperature))
    return torch.stack(losses).sum(dim=0)
