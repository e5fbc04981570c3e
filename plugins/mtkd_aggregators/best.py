"""The best teacher by validation score, alone: what every ensemble must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class Best:
    """``w_k = 1`` for the teacher with the best validation score (of equal ones the first), else 0."""

    def __init__(self) -> None:
        self.name = ""

    def fit(self, validation: AggregationBatch) -> None:
        """Keep the best teacher's name."""
        scores = dict(zip(validation.teacher_names, validation.scores_alone, strict=True))
        choose = max if validation.task.primary.higher_is_better else min
        self.name = choose(scores, key=scores.__getitem__)

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample."""
        first = batch.outputs[0]
        column = torch.tensor([float(name == self.name) for name in batch.teacher_names], device=first.device)
        return column[:, None].expand(-1, len(first))
