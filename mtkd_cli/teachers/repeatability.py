"""Ask a teacher twice, and in other batches: its outputs must depend on the sample alone.

Outputs are recorded once, in other batches than the student is trained with. So a teacher must neither draw
random numbers nor normalize with the statistics of the batch. `nn.Module.eval` turns both off in modules, but
not in functions: ``F.dropout(x)`` and ``F.batch_norm(..., training=True)`` ignore it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtkd_cli.teachers.validation import Doubt

TOLERANCE = 0.01
"""Largest difference, as a share of the range of the outputs; rounding in half precision stays below it."""

SURE = 0.3
"""Minimum score of a box that is compared: others come and go by rounding."""


def doubt_repeatability(
    answer: Callable[[Tensor], Tensor], views: Tensor, first: Tensor, boxes: bool
) -> Doubt | None:
    """Return a doubt if the outputs for the same samples differ.

    Args:
        answer: returns a teacher's outputs for views.
        views: the samples.
        first: outputs for all of them in one batch, ``[B, C, *]``, or boxes ``[B, M, 6]``.
        boxes: whether outputs are boxes.
    """
    differ = _differ_as_boxes if boxes else _differ
    if gap := differ(first, answer(views)):
        return Doubt(
            f"the same samples get other outputs when it is asked again (by {gap:.0%} of their range)",
            "it draws random numbers: call eval() in its code, and F.dropout with training=self.training",
        )
    others = [answer(views[1:])] if len(views) > 1 else []  # asked first, in case that the order matters
    if gap := differ(first, torch.cat([answer(views[:1]), *others])):
        return Doubt(
            f"its outputs for a sample depend on the rest of the batch (by {gap:.0%} of their range)",
            "call eval() in its code, so that BatchNorm uses its running statistics",
        )
    return None


def _differ(first: Tensor, second: Tensor) -> float:
    """Return the largest difference as a share of the range of the outputs; 0 if it is only rounding.

    Non-finite outputs are not compared.
    """
    first, second = first.double(), second.double()
    finite = first.isfinite() & second.isfinite()
    values = first[finite]
    if not values.numel():
        return 0.0
    gap = torch.where(finite, (first - second).abs(), 0).max()
    return _above_tolerance(gap / (values.max() - values.min()).clamp(min=torch.finfo(torch.float64).tiny))


def _differ_as_boxes(first: Tensor, second: Tensor) -> float:
    """Return the same for boxes (corners, score, class), in any order: rounding may swap equal scores."""
    largest = 0.0
    scale = torch.cat([first[..., :4].abs().max().clamp(min=1).expand(4), torch.ones(2)])
    for mine, other in ((first, second), (second, first)):
        for boxes, candidates in zip(mine / scale, other / scale, strict=True):
            sure = boxes[boxes[:, 4] >= SURE]
            if len(sure):  # [S, 6] and [M, 6] -> [S, M]: the nearest box of the other answer
                nearest = torch.cdist(sure, candidates, p=torch.inf).amin(dim=1)
                largest = max(largest, float(nearest.max()))
    return _above_tolerance(largest)


def _above_tolerance(share: Tensor | float) -> float:
    return float(share) if share > TOLERANCE else 0.0
