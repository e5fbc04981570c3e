"""Drop teachers at random, except the one with the largest distillation loss (UNIC)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Drop:
    """Per sample: keep the teacher with the largest loss, drop each other with probability p; equal weights.

    A teacher that is ignored on a sample is always dropped there.

    Args:
        p: probability of dropping a teacher.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``: equal weights for the kept teachers; all 0 where every teacher is ignored."""
        student = batch.student_output
        if student is None:
            raise LookupError("student")
        teachers = range(len(batch.outputs))
        losses = torch.stack(
            [batch.task.kd_loss(student, batch.alone(k), batch.temperature) for k in teachers]
        )
        shape = tuple(losses.shape[1:])
        drawn = torch.stack([batch.random(f"keep {name}", shape) for name in batch.teacher_names])
        usage_mask = batch.usage_mask
        losses = losses.masked_fill(~usage_mask, -torch.inf)
        kept = usage_mask & ((drawn.to(losses.device) >= self.p) | (losses == losses.max(dim=0).values))
        return kept.float() / kept.sum(dim=0).clamp(min=1)
