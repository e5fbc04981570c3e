"""Without labels: a teacher that is far from the others counts less."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Consensus:
    """``w_k = softmax_k(-d_k / tau)``, ``d_k`` the median over the others of the loss of k to each.

    The loss is the task's distillation loss at T = 1 (for classification the divergence
    ``KL(p_j || p_k)``), which is large for a teacher that is sure of what the others deny. So one
    that is confidently wrong loses its say where ``entropy`` would give it the most. It needs a
    majority that is right: two bad teachers that agree outvote one good one.

    Args:
        tau: softness, in units of the loss (nats).
    """

    def __init__(self, tau: float) -> None:
        self.tau = tau

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B, *]``."""
        outputs, teachers = [output.float() for output in batch.outputs], range(len(batch.outputs))
        if len(teachers) == 1:
            return torch.ones(1, len(outputs[0]), device=outputs[0].device)
        alone = [batch.alone(k) for k in teachers]
        distances = [
            torch.stack(
                [batch.task.kd_loss(outputs[k], alone[other], 1.0) for other in teachers if other != k]
            )
            for k in teachers
        ]
        return torch.softmax(-torch.stack([d.quantile(0.5, dim=0) for d in distances]) / self.tau, dim=0)
