"""One random teacher per batch."""

from __future__ import annotations

import torch
from torch import Tensor

from mtkd_aggregators.rank_weights import rank_weights
from mtkd_cli.interfaces import AggregationBatch


class RandomTeacher:
    """``w_k = 1`` for one random teacher per batch: equals ``mean`` in expectation, with more noise.

    The draw is over the sorted names, so the order in the recipe does not matter. A sample on which some
    teachers are ignored uses the same random uniform to choose among the others.
    """

    def weights(self, batch: AggregationBatch) -> Tensor:
        """Return ``[K, B]``, the same for every sample; ``[K, B, *]`` if some teachers may be ignored."""
        uniform = batch.random("teacher", (1,)).item()
        return rank_weights(batch, sorted(batch.teacher_names), lambda count: torch.floor(uniform * count))
