"""Boxes on several views of a sample: move them between view and sample, and merge them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtkd_tasks.boxes import best_first, transform_boxes, without
from mtkd_tasks.fusion_cache import FusionCache, Merge

FAINT = 0.05
"""Minimum score of the boxes of a view that are merged with those of other views."""


def merge(
    outputs: Sequence[Tensor],
    affines: Sequence[Tensor | None],
    cache: FusionCache,
    fusion: Merge,
    classes: int,
) -> Tensor:
    """Return the boxes of a teacher on the original samples, ``[B, 100, 6]``, merged over views.

    The score of a merged box is its mean over the views that show it; a view without it counts as 0.

    Args:
        outputs: boxes in each of V views, ``[B, M, 6]``.
        affines: for each view ``[B, 2, 3]``, view to sample; None: the view is the sample.
        cache: cache of merged boxes.
        fusion: method to merge boxes.
        classes: number of classes.
    """
    device, samples, views = outputs[0].device, len(outputs[0]), len(outputs)
    found = [from_view(output, affine).cpu() for output, affine in zip(outputs, affines, strict=True)]
    weights = torch.full((views, samples), 1 / views)
    known = torch.ones(views, classes, dtype=torch.bool)
    merged = cache(fusion, found, weights, known)
    shown = torch.stack([is_in_view(merged, None if affine is None else affine.cpu()) for affine in affines])
    share = shown.float().mean(dim=0).clamp(min=1 / views)  # [V, B, M] -> [B, M]
    scores = (merged[..., 4] / share).clamp(max=1)
    return torch.cat([merged[..., :4], scores.unsqueeze(-1), merged[..., 5:]], dim=-1).to(device)


def from_view(answer: Tensor, affine: Tensor | None) -> Tensor:
    """Return the boxes of a view on the original samples, ``[B, M, 6]``, clipped to them.

    Args:
        answer: boxes in the view, ``[B, M, 6]``.
        affine: ``[B, 2, 3]``, view to sample, see `Task.transform_labels`; None: the view is the sample.
    """
    if affine is None:
        return answer
    x1, y1, x2, y2 = (answer[..., :4] * 2 - 1).unbind(dim=-1)
    # four corners of each box, from -1 to 1: [B, M, 4, 2]
    corners = torch.stack([x1, y1, x2, y1, x1, y2, x2, y2], dim=-1).view(*x1.shape, 4, 2)
    linear, shift = affine[:, :, :2].to(answer.dtype), affine[:, None, None, :, 2].to(answer.dtype)
    on_sample = (corners @ linear.transpose(1, 2).unsqueeze(1) + shift + 1) / 2
    bounds = torch.cat([on_sample.amin(dim=2), on_sample.amax(dim=2)], dim=-1).clamp(0, 1)
    return without(torch.cat([bounds, answer[..., 4:]], dim=-1), answer[..., 5] < 0)


def into_view(answer: Tensor, affine: Tensor | None) -> Tensor:
    """Return the boxes of original samples in a view, ``[B, M, 6]``, best first; see `from_view`.

    They are clipped to the view, and removed where `transform_boxes` removes them.
    """
    if affine is None:
        return answer
    moved = transform_boxes(torch.cat([answer[..., :4], answer[..., 5:]], dim=-1), affine)
    in_view = torch.cat([moved[..., :4], answer[..., 4:]], dim=-1)
    return best_first(without(in_view, moved[..., 4] < 0), answer.shape[1])


def is_in_view(answer: Tensor, affine: Tensor | None) -> Tensor:
    """Return which boxes of original samples a view shows, ``[B, M]`` bool; see `into_view`."""
    is_box = answer[..., 5] >= 0
    if affine is None:
        return is_box
    target = torch.cat([answer[..., :4], answer[..., 5:]], dim=-1)
    return is_box & (transform_boxes(target, affine)[..., 4] >= 0)
