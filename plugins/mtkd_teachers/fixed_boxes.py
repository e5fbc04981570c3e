"""Non-maximum suppression with fixed output shapes, for exporters and compilers."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

CLASS_OFFSET = 2.0
"""Shift of the boxes of each class. Boxes are at most 1 wide, so boxes of different classes never overlap."""


def suppress(
    boxes: Tensor, scores: Tensor, labels: Tensor, min_score: float, max_overlap: float, max_boxes: int
) -> Tensor:
    """Return the boxes of one image after suppression, ``[max_boxes, 6]``, best first, padded.

    Args:
        boxes: ``[K, 4]``, relative to the sides, best first.
        scores: ``[K]``.
        labels: ``[K]``.
        min_score: score that a box must exceed.
        max_overlap: IoU above which the lower of two boxes of a class is suppressed.
        max_boxes: number of boxes to return.
    """
    kept = nms(boxes + (labels * CLASS_OFFSET).unsqueeze(-1), scores, max_overlap)
    is_kept = torch.zeros_like(scores).index_fill(0, kept, 1.0)
    ranked = torch.where((is_kept > 0) & (scores > min_score), scores, -1.0)
    # [K] -> the best N = min(max_boxes, K) rows, [N, 6]; suppressed ones have the score -1
    best, index = ranked.topk(min(max_boxes, len(ranked)))
    rows = torch.cat([boxes[index], best.unsqueeze(-1), labels[index].to(boxes.dtype).unsqueeze(-1)], dim=1)
    empty = rows.new_tensor([0, 0, 0, 0, 0, -1])
    rows = torch.where((best > 0).unsqueeze(-1), rows, empty)
    return torch.cat([rows, empty.expand(max_boxes - len(rows), 6)])
