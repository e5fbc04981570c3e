"""One weight per teacher and batch that minimizes the norm of the combined gradient (AE-KD)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch

RIDGE = 1e-3
"""Ridge penalty, relative to the mean gradient norm: makes the weights unique and close to equal."""
STIFFNESS = 1e4
"""Weight of the equation ``sum w = 1`` in the least-squares problem; its error is below 1e-8."""
NEGLIGIBLE = 1e-15
"""Mean gradient norm below which the weights are equal."""


class Agreement:
    """``min_w 1/2 || sum_k w_k g_k ||^2``, sum w = 1, 0 <= w_k <= max(c, 1/K): one weight per batch.

    ``g_k`` is the gradient of the k-th loss at the student's output, averaged over the batch (for maps
    also over the pixels), without the samples on which the teacher is ignored. It needs no backward pass
    through the student. With several processes, the mean is over the batches of all of them.

    The mean gradient shows only how far the student's class frequencies are from the teacher's. So a teacher
    with wrong class frequencies loses its weight; one that confuses classes of equal frequency does not.

    Args:
        c: maximum weight of one teacher.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample."""
        if batch.student_output is None:
            raise LookupError("student")
        gradients, usage_mask = _mean_gradients(batch)
        weights = torch.zeros(len(usage_mask), dtype=torch.float64)
        if not usage_mask.any():
            usage_mask[:] = True  # all teachers are ignored here; the core sets their weights to 0
        weights[usage_mask] = torch.from_numpy(_min_norm_weights(gradients[usage_mask].numpy(), self.c))
        first = batch.outputs[0]
        return weights.float().to(first.device)[:, None].expand(-1, len(first))


def _mean_gradients(batch: AggregationBatch) -> tuple[Tensor, Tensor]:
    """Return each teacher's mean gradient over the batch ``[K, C]``, and whether it is used there ``[K]``."""
    usage_mask = batch.usage_mask
    sums = []
    for teacher, mask in enumerate(usage_mask):
        with torch.enable_grad():
            student: Tensor = batch.student_output.detach().double().requires_grad_()
            loss = batch.task.kd_loss(student, batch.alone(teacher), batch.temperature)
            (gradient,) = torch.autograd.grad(torch.where(mask, loss, 0).sum(), student)
        # sum over samples and pixels: [B, C, *] -> [C]; append the number of elements -> [C + 1]
        sums.append(torch.cat([gradient.transpose(0, 1).flatten(1).sum(dim=1), mask.sum().double()[None]]))
    total = batch.sum_over_processes(torch.stack(sums)).cpu()
    count = total[:, -1:]
    return total[:, :-1] / count.clamp(min=1), count[:, 0] > 0


def _min_norm_weights(gradients: NDArray[np.float64], c: float) -> NDArray[np.float64]:
    """Return the weights ``[K]`` that minimize the norm of the weighted sum of ``gradients [K, C]``.

    Solved as bounded least squares; ``sum w = 1`` is one of its equations.
    """
    teachers = len(gradients)
    equal = np.full(teachers, 1 / teachers)
    mean_norm = np.sqrt(np.square(gradients).sum(axis=1).mean())
    cap = max(c, 1 / teachers)
    if mean_norm < NEGLIGIBLE or cap == 1 / teachers:
        return equal
    # [C, K], [K, K] and [1, K] -> [C + K + 1, K]
    rows = [gradients.T / mean_norm, RIDGE * np.eye(teachers), STIFFNESS * np.ones((1, teachers))]
    right_side = np.zeros(sum(map(len, rows)))
    right_side[-1] = STIFFNESS
    solution = lsq_linear(np.concatenate(rows), right_side, (0, cap), method="bvls", max_iter=100 * teachers)
    weights: NDArray[np.float64] = solution.x.clip(0) / solution.x.clip(0).sum()
    return weights
