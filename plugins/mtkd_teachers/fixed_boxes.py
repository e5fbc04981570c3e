"""Boxes in a form whose shapes never depend on the image: what exporters and compilers need."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

APART = 2.0
"""Boxes are shares of the sides, so those of other classes, moved by so much, meet none."""


def suppressed(
    boxes: Tensor, scores: Tensor, labels: Tensor, least: float, overlap: float, most: int
) -> Tensor:
    """Return the boxes of one image that remain, ``[most, 6]``, best first; the rest is empty.

    Args:
        boxes: ``[K, 4]``, shares of the sides, candidates of any score, the best first.
        scores: ``[K]``.
        labels: ``[K]``.
        least: score that a box must exceed.
        overlap: IoU from which the lower of two boxes of a class is left out.
        most: how many boxes are returned.
    """
    kept = nms(boxes + (labels * APART).unsqueeze(-1), scores, overlap)
    there = torch.zeros_like(scores).index_fill(0, kept, 1.0)
    ranked = torch.where((there > 0) & (scores > least), scores, -1.0)
    best, place = ranked.topk(min(most, len(ranked)))
    rows = torch.cat([boxes[place], best.unsqueeze(-1), labels[place].to(boxes.dtype).unsqueeze(-1)], dim=1)
    nothing = rows.new_tensor([0, 0, 0, 0, 0, -1])
    rows = torch.where((best > 0).unsqueeze(-1), rows, nothing)
    return torch.cat([rows, nothing.expand(most - len(rows), 6)])
