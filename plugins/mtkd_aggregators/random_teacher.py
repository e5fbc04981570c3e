"""One teacher a batch, drawn by counters."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


class RandomTeacher:
    """``w_k = 1`` for one teacher drawn for the whole batch: ``mean`` on average, with more noise.

    The draw is over the sorted names, so the order of the recipe does not matter.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample of the batch."""
        first, names = batch.outputs[0], sorted(batch.teacher_names)
        drawn = names[int(batch.random("teacher", (1,)).item() * len(names))]
        column = torch.tensor([float(name == drawn) for name in batch.teacher_names], device=first.device)
        return column[:, None].expand(-1, len(first))
