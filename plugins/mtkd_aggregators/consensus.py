"""Without labels: a teacher that is far from the others counts less."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, Merged
from mtkd_cli.interfaces.precision import at_least_float32


class Consensus:
    """``w_k = softmax_k(-d_k / tau)``, ``d_k`` the median over the others of the distance of k to each.

    The distance of two teachers is the mean of the task's distillation losses, at T = 1, from the
    middle of both to each: for classes the Jensen-Shannon divergence (Lin, 1991; 0 to log 2,
    without class weights), for values a quarter of the squared difference.
    It is the same from either side, so being unsure wins nothing, and one that is confidently wrong
    loses its say where ``entropy`` would give it the most. It needs a majority that is right: two bad
    teachers that agree outvote one good one.

    Two teachers are compared on the classes that both know; a pair that shares fewer than two classes of
    a distribution has no distance and is left out. A teacher that is in no other pair has the median
    distance of the others, so it counts as an average teacher does; if there is no pair, all are equal.

    Args:
        tau: softness, in units of the distance (nats).
        by: of maps, ``sample``: by the mean distance over the whole map; ``element``: each pixel by
            itself, where the one who alone sees a small thing is outvoted by those who miss it.
    """

    def __init__(self, tau: float, by: str) -> None:
        self.tau, self.by_sample = tau, by == "sample"

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, or ``[K, B, *]`` by element."""
        teachers = range(len(batch.outputs))
        if len(teachers) == 1:
            first = batch.outputs[0]
            return torch.ones(1, len(first), device=first.device)
        pairs = {(k, j): self._distance(batch, k, j) for k in teachers for j in teachers if k < j}
        distances = torch.stack(
            [
                torch.stack([pairs[min(k, j), max(k, j)] for j in teachers if j != k]).nanquantile(0.5, dim=0)
                for k in teachers
            ]
        )
        typical = distances.nanquantile(0.5, dim=0).nan_to_num(nan=0.0)
        return torch.softmax(-torch.where(distances.isnan(), typical, distances) / self.tau, dim=0)

    def _distance(self, batch: AggregationBatch, first: int, second: int) -> Tensor:
        """Return the distance of two teachers ``[B]`` or ``[B, *]``, over the classes that both know.

        NaN if they share nothing that could be compared.
        """
        both = at_least_float32(batch.outputs[first]), at_least_float32(batch.outputs[second])
        comparable = True
        if batch.known is not None:
            shared = batch.known[first] & batch.known[second]
            # over one class alone, every distribution is the same
            comparable = int(shared.sum()) >= (2 if batch.task.over_classes else 1)
            both = batch.task.restricted(both[0], shared), batch.task.restricted(both[1], shared)
        one = torch.ones(1, len(both[0]), *batch.task.elements, device=both[0].device)
        task = batch.task.unweighted()
        middle = task.mix(Merged(both, torch.cat([one, one]) / 2))
        to_first, to_second = (task.kd_loss(middle, Merged((output,), one), 1.0) for output in both)
        distance = (to_first + to_second) / 2
        if not comparable:
            distance = torch.full_like(distance, torch.nan)
        return distance.flatten(1).mean(dim=1) if self.by_sample and distance.dim() > 1 else distance
