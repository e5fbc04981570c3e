"""Without labels: a teacher that is far from the others counts less."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, Merged


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
        """Return ``[K, B]``."""
        outputs = [output.float() for output in batch.outputs]
        teachers, samples = len(outputs), len(outputs[0])
        alone = torch.ones(1, samples, device=outputs[0].device)
        if teachers == 1:
            return alone
        distances = [
            torch.stack(
                [
                    batch.task.kd_loss(mine, Merged((other,), alone), 1.0)
                    for other in outputs[:k] + outputs[k + 1 :]
                ]
            )
            for k, mine in enumerate(outputs)
        ]
        return torch.softmax(-torch.stack([d.quantile(0.5, dim=0) for d in distances]) / self.tau, dim=0)
