"""Drop teachers at random, never the one that the student is furthest from (UNIC)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, Merged


class Drop:
    """Per sample: keep the teacher with the largest loss, drop each other with probability p, share equally.

    Args:
        p: probability that a teacher is dropped.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``; equal weights of those kept, sum 1 for every sample."""
        student = batch.student_output
        if student is None:
            raise LookupError("student")
        alone = torch.ones(1, len(student), device=student.device)
        losses = torch.stack(
            [batch.task.kd_loss(student, Merged((out,), alone), batch.temperature) for out in batch.outputs]
        )
        drawn = torch.stack([batch.random(f"keep {name}", (len(student),)) for name in batch.teacher_names])
        kept = (drawn.to(losses.device) >= self.p) | (losses == losses.max(dim=0).values)
        return kept.float() / kept.sum(dim=0)
