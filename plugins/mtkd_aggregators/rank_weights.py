"""Weights for one teacher, or the two next to a position in a ranking, without ignored teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


def rank_weights(
    batch: AggregationBatch, order: Sequence[str], position: Callable[[Tensor], Tensor | float]
) -> Tensor:
    """Return weights ``max(0, 1 - |position - rank|)``, ``[K, B]``; ``[K, B, *]`` if some may be ignored.

    Ranks count from 0 over the teachers that are not ignored on an element. So a sample whose class the
    first teacher does not know is taught by the next teacher that does.

    Args:
        batch: the teachers' outputs.
        order: teacher names; the first has rank 0.
        position: function that takes the number of usable teachers ``[B, *]``, at least 1, and returns the
            position in the ranking ``[B, *]``, from 0 to that number minus 1.
    """
    first = batch.outputs[0]
    all_usable = torch.ones(len(batch.outputs), len(first), dtype=torch.bool, device=first.device)
    usage_mask = batch.usage_mask if batch.has_unused_teacher else all_usable
    indices = [batch.teacher_names.index(name) for name in order]
    # ranks of the usable teachers, written back to the batch's order: [K, B, *]
    ranks = torch.empty(usage_mask.shape, device=first.device)
    ranks[indices] = usage_mask[indices].cumsum(dim=0).float() - 1
    distance = (position(usage_mask.sum(dim=0).clamp(min=1)) - ranks).abs()
    return (1 - distance).clamp(min=0) * usage_mask
