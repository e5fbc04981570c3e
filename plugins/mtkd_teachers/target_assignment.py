"""Which places of a one-stage detector a wanted box claims: by its centre (FCOS), or by overlap (anchors)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

from mtkd_teachers.dense_answer import Claims

SMALLEST, LARGEST = 4.0, 8.0
"""How far a box reaches from a place that may answer for it, in strides; the ends of the pyramid are open."""


def by_centre(places: Tensor, levels: Sequence[int], radius: float) -> Callable[[Tensor], Claims]:
    """Return FCOS's rule (arXiv 2006.09214): near the box's centre, inside it, and of the level's size.

    Of several boxes a place answers for the smallest.

    Args:
        places: squares of the side of a stride around each place, ``[P, 4]``.
        levels: how many of them each level has.
        radius: how near to the box's centre, in strides.
    """
    middle = (places[:, :2] + places[:, 2:]) / 2
    stride = places[:, 2:] - places[:, :2]
    low, high = SMALLEST * stride, LARGEST * stride
    low[: levels[0]], high[len(high) - levels[-1] :] = 0, torch.inf

    def claims(boxes: Tensor) -> Claims:
        centre = (boxes[..., :2] + boxes[..., 2:]) / 2
        near = ((middle[:, None] - centre[:, None]).abs() < radius * stride[:, None]).all(dim=-1)
        before, after = middle[:, None] - boxes[:, None, :, :2], boxes[:, None, :, 2:] - middle[:, None]
        inside = (torch.minimum(before, after) > 0).all(dim=-1)
        reach = torch.maximum(before, after) / stride[:, None]
        reach = reach.amax(dim=-1)
        fits = (reach > (low / stride)[:, :1]) & (reach < (high / stride)[:, :1])
        area = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)
        return Claims((near & inside & fits) / (area + 1e-6).unsqueeze(1))

    return claims


def by_overlap(anchors: Tensor, high: float, low: float) -> Callable[[Tensor], Claims]:
    """Return the rule of anchors: overlap of ``high`` or more; between ``low`` and that nothing is said.

    Of several boxes an anchor answers for the one that it overlaps most; each box's best anchor
    answers for it in any case.

    Args:
        anchors: ``[P, 4]``.
        high: see above.
        low: see above.
    """

    def claims(boxes: Tensor) -> Claims:
        shared = torch.stack([box_iou(anchors, own) for own in boxes])
        most = shared.amax(dim=1, keepdim=True)
        best = (shared == most) & (most > 0)
        strength = torch.where(best, 1 + shared, torch.where(shared >= high, shared, 0))
        unclear = (shared.amax(dim=2) >= low) & (strength.amax(dim=2) == 0)
        return Claims(strength, unclear)

    return claims
