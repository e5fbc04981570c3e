"""One weight per teacher and batch, under which the teachers' gradients agree best (AE-KD)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch

RIDGE = 1e-3
"""Length of the gradient of its own that each teacher is given, as a share of the mean length: of several
solutions the one nearest to equal weights is found, and the weights are unique."""
STIFFNESS = 1e4
"""Weight of the equation ``sum w = 1`` beside the gradients; what is missing is below 1e-8."""
NEGLIGIBLE = 1e-15
"""Mean length of gradients under which there is nothing to weigh."""


class Agreement:
    """``min_w 1/2 || sum_k w_k g_k ||^2``, sum w = 1, 0 <= w_k <= max(c, 1/K): one weight per batch.

    ``g_k`` is the gradient of the k-th loss at the student's output, averaged over the batch (of a map,
    over its elements too), where the teacher is heard; no backward pass through the student is needed.
    With several processes, the batch is that of all of them together.

    What is left of a gradient after averaging is how often the student gives each class too much or too
    little. So a teacher that is wrong about how often classes occur loses its weight, and one that only
    confuses classes of equal frequency does not.

    Args:
        c: the most that one teacher may count.
    """

    def __init__(self, c: float) -> None:
        self.c = c

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample."""
        if batch.student_output is None:
            raise LookupError("student")
        gradients, heard = _mean_gradients(batch)
        weights = torch.zeros(len(heard), dtype=torch.float64)
        if not heard.any():
            heard[:] = True  # no teacher is heard here: the core silences all of them
        weights[heard] = torch.from_numpy(_least_norm(gradients[heard].numpy(), self.c))
        first = batch.outputs[0]
        return weights.float().to(first.device)[:, None].expand(-1, len(first))


def _mean_gradients(batch: AggregationBatch) -> tuple[Tensor, Tensor]:
    """Return each teacher's mean gradient in the whole batch ``[K, C]``, and which are heard ``[K]``."""
    heard = batch.heard
    sums = []
    for teacher, counted in enumerate(heard):
        with torch.enable_grad():
            student: Tensor = batch.student_output.detach().double().requires_grad_()
            loss = batch.task.kd_loss(student, batch.alone(teacher), batch.temperature)
            (gradient,) = torch.autograd.grad(torch.where(counted, loss, 0).sum(), student)
        # [B, C, *] -> [C], then the number of elements that it is a sum over
        sums.append(torch.cat([gradient.transpose(0, 1).flatten(1).sum(dim=1), counted.sum().double()[None]]))
    total = batch.summed(torch.stack(sums)).cpu()
    count = total[:, -1:]
    return total[:, :-1] / count.clamp(min=1), count[:, 0] > 0


def _least_norm(gradients: NDArray[np.float64], c: float) -> NDArray[np.float64]:
    """Return the weights ``[K]`` of gradients ``[K, C]`` under which their mixture is shortest.

    A least-squares problem with bounds, ``sum w = 1`` being one of its equations.
    """
    teachers = len(gradients)
    equal = np.full(teachers, 1 / teachers)
    size = np.sqrt(np.square(gradients).sum(axis=1).mean())
    cap = max(c, 1 / teachers)
    if size < NEGLIGIBLE or cap == 1 / teachers:
        return equal
    rows = [gradients.T / size, RIDGE * np.eye(teachers), STIFFNESS * np.ones((1, teachers))]
    wanted = np.zeros(sum(map(len, rows)))
    wanted[-1] = STIFFNESS
    found = lsq_linear(np.concatenate(rows), wanted, (0, cap), method="bvls", max_iter=100 * teachers)
    weights: NDArray[np.float64] = found.x.clip(0) / found.x.clip(0).sum()
    return weights
