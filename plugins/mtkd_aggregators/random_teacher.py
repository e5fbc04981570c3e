"""One teacher a batch, drawn by counters."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_aggregators.chosen import chosen
from mtkd_cli.interfaces import AggregationBatch


class RandomTeacher:
    """``w_k = 1`` for one teacher drawn for the whole batch: ``mean`` on average, with more noise.

    The draw is over the sorted names, so the order of the recipe does not matter. Samples on which
    fewer teachers are heard use the same number to draw among those.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample; ``[K, B, *]`` if teachers are silenced."""
        number = batch.random("teacher", (1,)).item()
        return chosen(batch, sorted(batch.teacher_names), lambda count: torch.floor(number * count))
