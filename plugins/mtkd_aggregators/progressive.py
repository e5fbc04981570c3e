"""From the weakest teacher to the strongest over the run (MTPD)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Progressive:
    """Teachers in the order of their validation scores; the weight moves along it as the run goes on.

    At progress x (0 to 1) the teacher of rank r counts ``max(0, 1 - |x (K - 1) - r|)``. The
    ensemble it is measured as is the last one: the strongest teacher.
    """

    def __init__(self) -> None:
        self.rank: dict[str, int] = {}

    def fit(self, validation: AggregationBatch) -> None:
        """Keep each teacher's rank, the weakest first."""
        scores = dict(zip(validation.teacher_names, validation.scores_alone, strict=True))
        ordered = sorted(scores, key=scores.__getitem__, reverse=not validation.task.primary.higher_is_better)
        self.rank = {name: rank for rank, name in enumerate(ordered)}

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample."""
        first, place = batch.outputs[0], batch.progress * (len(batch.outputs) - 1)
        heights = [max(0.0, 1 - abs(place - self.rank[name])) for name in batch.teacher_names]
        return torch.tensor(heights, device=first.device)[:, None].expand(-1, len(first))
