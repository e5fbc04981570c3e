"""Weights under which the teachers' gradients agree best (AEKD)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch

STEPS = 200
STILL = 1e-7
"""Largest change of a weight in a step after which there is none to come."""


class Agreement:
    """Per sample ``min_w 1/2 || sum_k w_k g_k ||^2``, sum w = 1, 0 <= w_k <= max(c, 1/K).

    ``g_k`` is the gradient of the k-th loss at the student's output; no backward pass through the
    student is needed. Solved by projected gradient on the K x K Gram matrix.

    Args:
        c: the most that one teacher may count.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``."""
        if batch.student_output is None:
            raise LookupError("student")
        gradients = torch.stack([self._gradient(batch, k) for k in range(len(batch.outputs))]).flatten(2)
        teachers = len(gradients)
        gram = torch.einsum("kbc,jbc->bkj", gradients, gradients)
        step = 1 / gram.diagonal(dim1=1, dim2=2).sum(dim=1, keepdim=True).clamp(min=1e-12)
        cap = max(self.c, 1 / teachers)
        weights = torch.full(gram.shape[:2], 1 / teachers, dtype=gram.dtype, device=gram.device)
        for _ in range(STEPS):
            before = weights
            weights = project(weights - step * torch.einsum("bkj,bj->bk", gram, weights), cap)
            if (weights - before).abs().max() < STILL:
                break
        return weights.T.float()

    def _gradient(self, batch: AggregationBatch, teacher: int) -> Tensor:
        with torch.enable_grad():
            student: Tensor = batch.student_output.detach().double().requires_grad_()
            loss = batch.task.kd_loss(student, batch.alone(teacher), batch.temperature)
            (gradient,) = torch.autograd.grad(loss.sum(), student)
        return gradient


def project(points: Tensor, cap: float) -> Tensor:
    """Return the nearest points ``[B, K]`` with 0 <= w <= cap and sum 1; exact, ``cap >= 1/K``.

    It is ``clamp(point - shift, 0, cap)``, whose sum is piecewise linear in the shift: between the two
    ends of pieces where the sum passes 1, the shift is found by proportion.
    """
    ends = torch.cat([points, points - cap], dim=1).sort(dim=1, descending=True).values
    sums = (points[:, None] - ends[:, :, None]).clamp(0, cap).sum(dim=2)
    above = (sums < 1).sum(dim=1, keepdim=True).clamp(1, ends.shape[1] - 1)
    high, low = (sums.gather(1, above - side) for side in (0, 1))
    right, left = (ends.gather(1, above - side) for side in (0, 1))
    share = ((1 - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
    weights = (points - torch.lerp(left, right, share)).clamp(0, cap)
    return weights / weights.sum(dim=1, keepdim=True)
