"""Without labels: a teacher that is far from the others counts less."""

from __future__ import annotations

from dataclasses import replace

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
        teachers = range(len(batch.outputs))
        if len(teachers) == 1:
            first = batch.outputs[0]
            return torch.ones(1, len(first), device=first.device)
        distances = [
            torch.stack([_distance(batch, k, other) for other in teachers if other != k]) for k in teachers
        ]
        return torch.softmax(-torch.stack([d.quantile(0.5, dim=0) for d in distances]) / self.tau, dim=0)


def _distance(batch: AggregationBatch, teacher: int, other: int) -> Tensor:
    """Return the loss of a teacher to another one ``[B, *]``, over the classes that both know."""
    answer, alone, restricted = batch.outputs[teacher].float(), batch.alone(other), batch.task.restricted
    if batch.known is not None:
        both = batch.known[teacher] & batch.known[other]
        theirs = restricted(alone.outputs[0], both)
        answer, alone = restricted(answer, both), replace(alone, outputs=(theirs,), known=both[None])
    return batch.task.kd_loss(answer, alone, 1.0)
