"""Drop teachers at random, never the one that the student is furthest from (UNIC)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Drop:
    """Per sample: keep the teacher with the largest loss, drop each other with probability p, share equally.

    Only teachers that are heard on a sample are kept there.

    Args:
        p: probability that a teacher is dropped.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``; equal weights of those kept; all 0 where no teacher is heard."""
        student = batch.student_output
        if student is None:
            raise LookupError("student")
        teachers = range(len(batch.outputs))
        losses = torch.stack(
            [batch.task.kd_loss(student, batch.alone(k), batch.temperature) for k in teachers]
        )
        shape = tuple(losses.shape[1:])
        drawn = torch.stack([batch.random(f"keep {name}", shape) for name in batch.teacher_names])
        heard = batch.heard
        losses = losses.masked_fill(~heard, -torch.inf)
        kept = heard & ((drawn.to(losses.device) >= self.p) | (losses == losses.max(dim=0).values))
        return kept.float() / kept.sum(dim=0).clamp(min=1)
