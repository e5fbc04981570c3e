"""Assign target boxes to the points of a one-stage detector: by center (FCOS) or by overlap (anchors)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mtkd_teachers.dense_answer import Assignment, pairwise_iou

MIN_REACH, MAX_REACH = 4.0, 8.0
"""Range of the largest distance from a point to a side of its box, in strides.

The finest level has no lower bound and the coarsest no upper bound.
"""


def assign_by_center(cells: Tensor, levels: Sequence[int], radius: float) -> Callable[[Tensor], Assignment]:
    """Return FCOS's assignment (arXiv 2006.09214): points near the box's center, in the box, at its level.

    If several boxes fit, the smallest one is the strongest.

    Args:
        cells: ``[P, 4]``, squares around the points, with a side of one stride.
        levels: number of points of each level.
        radius: maximum distance to the box's center, in strides.
    """
    point = (cells[:, :2] + cells[:, 2:]) / 2
    stride = cells[:, 2:] - cells[:, :2]
    low, high = MIN_REACH * stride, MAX_REACH * stride
    low[: levels[0]], high[len(high) - levels[-1] :] = 0, torch.inf

    def assign(boxes: Tensor) -> Assignment:
        center = (boxes[..., :2] + boxes[..., 2:]) / 2
        # points [P, 1, 2] and boxes [B, 1, M, 2] -> [B, P, M]
        near = ((point[:, None] - center[:, None]).abs() < radius * stride[:, None]).all(dim=-1)
        before, after = point[:, None] - boxes[:, None, :, :2], boxes[:, None, :, 2:] - point[:, None]
        inside = (torch.minimum(before, after) > 0).all(dim=-1)
        reach = torch.maximum(before, after) / stride[:, None]
        reach = reach.amax(dim=-1)
        fits = (reach > (low / stride)[:, :1]) & (reach < (high / stride)[:, :1])
        area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
        return Assignment((near & inside & fits) / (area + 1e-6).unsqueeze(1))

    return assign


def assign_by_overlap(anchors: Tensor, high: float, low: float) -> Callable[[Tensor], Assignment]:
    """Return the assignment of anchors by overlap (IoU).

    If several boxes fit, the one with the largest overlap is the strongest. Each box is also assigned to
    its best anchor, whatever the overlap.

    Args:
        anchors: ``[P, 4]``.
        high: overlap from which a box is assigned to an anchor.
        low: overlap from which an anchor without a box is ignored instead of negative.
    """

    def assign(boxes: Tensor) -> Assignment:
        iou = pairwise_iou(anchors.unsqueeze(0), boxes)  # [B, P, M]
        largest = iou.amax(dim=1, keepdim=True)  # [B, 1, M], over the anchors
        best = (iou == largest) & (largest > 0)
        strength = torch.where(best, 1 + iou, torch.where(iou >= high, iou, 0))
        ignored = (iou.amax(dim=2) >= low) & (strength.amax(dim=2) == 0)
        return Assignment(strength, ignored)

    return assign
