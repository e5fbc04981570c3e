"""Weights that choose one teacher, or the two beside a position, among those that are heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch


def chosen(
    batch: AggregationBatch, order: Sequence[str], position: Callable[[Tensor], Tensor | float]
) -> Tensor:
    """Return weights ``max(0, 1 - |position - rank|)``, ``[K, B]``; ``[K, B, *]`` if teachers are silenced.

    On each element, the rank counts from 0 over the teachers that are heard there: so a sample whose
    class the first choice does not know is taught by the next teacher that does.

    Args:
        batch: the teachers' outputs.
        order: the teachers' names; ranks follow it.
        position: function of the number of teachers heard ``[B, *]``, at least 1, that returns the
            position along the ranks ``[B, *]``, from 0 to that number minus 1.
    """
    first = batch.outputs[0]
    everywhere = torch.ones(len(batch.outputs), len(first), dtype=torch.bool, device=first.device)
    heard = batch.heard if batch.any_unheard else everywhere
    places = [batch.teacher_names.index(name) for name in order]
    ranks = torch.empty(heard.shape, device=first.device)
    ranks[places] = heard[places].cumsum(dim=0).float() - 1
    distance = (position(heard.sum(dim=0).clamp(min=1)) - ranks).abs()
    return (1 - distance).clamp(min=0) * heard
