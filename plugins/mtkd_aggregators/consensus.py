"""Without labels: less weight for teachers that disagree with the others."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, Merged
from mtkd_cli.interfaces.precision import at_least_float32


class Consensus:
    """``w_k = softmax_k(-d_k / tau)``, ``d_k`` the median distance between teacher k and the others.

    The distance between two teachers is the mean of the task's distillation losses, at T = 1, between
    their average and each of them: for classes the Jensen-Shannon divergence (Lin, 1991; 0 to log 2,
    without class weights), for values a quarter of the squared difference.
    The distance is symmetric, so a teacher gains nothing by being uncertain, and a confidently wrong teacher
    loses weight (with ``entropy`` it gets the largest). The majority must be right: two bad teachers that
    agree outvote full_weight good teacher.

    Two teachers are compared on the classes that both know. A pair that shares fewer than two classes has
    no distance and is left out. A teacher without any pair gets the median distance of the others, so it
    counts like an average teacher; without any pair at all, the weights are equal.

    Args:
        tau: softmax temperature of the distances, in nats.
        by: for maps: ``sample`` uses the mean distance over the map; ``element`` weighs each pixel, so a
            teacher that alone finds a small object is outvoted there.
    """

    def __init__(self, tau: float, by: str) -> None:
        self.tau, self.by_sample = tau, by == "sample"

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, or ``[K, B, *]`` with ``by: element``."""
        teachers = range(len(batch.outputs))
        if len(teachers) == 1:
            first = batch.outputs[0]
            return torch.ones(1, len(first), device=first.device)
        pairs = {(k, j): self._distance(batch, k, j) for k in teachers for j in teachers if k < j}
        # median over the K - 1 others: [K - 1, B, *] -> [B, *] for each teacher, then [K, B, *]
        distances = torch.stack(
            [
                torch.stack([pairs[min(k, j), max(k, j)] for j in teachers if j != k]).nanquantile(0.5, dim=0)
                for k in teachers
            ]
        )
        typical = distances.nanquantile(0.5, dim=0).nan_to_num(nan=0.0)
        return torch.softmax(-torch.where(distances.isnan(), typical, distances) / self.tau, dim=0)

    def _distance(self, batch: AggregationBatch, first: int, second: int) -> Tensor:
        """Return the distance between two teachers, ``[B]`` or ``[B, *]``, on the classes that both know.

        NaN if they share too few classes.
        """
        both = at_least_float32(batch.outputs[first]), at_least_float32(batch.outputs[second])
        comparable = True
        if batch.known is not None:
            shared = batch.known[first] & batch.known[second]
            # with a single class, all distributions are equal
            comparable = int(shared.sum()) >= (2 if batch.task.over_classes else 1)
            both = (
                batch.task.restrict_to_known(both[0], shared),
                batch.task.restrict_to_known(both[1], shared),
            )
        full_weight = torch.ones(1, len(both[0]), *batch.task.elements, device=both[0].device)
        task = batch.task.without_class_weights()
        average = task.mix(Merged(both, torch.cat([full_weight, full_weight]) / 2))
        to_first, to_second = (task.kd_loss(average, Merged((output,), full_weight), 1.0) for output in both)
        distance = (to_first + to_second) / 2
        if not comparable:
            distance = torch.full_like(distance, torch.nan)
        return distance.flatten(1).mean(dim=1) if self.by_sample and distance.dim() > 1 else distance
