"""Boxes as tensors: overlap, geometry of views, and similarity of two sets of boxes.

A box is x1, y1, x2, y2 relative to the image's sides. A prediction is ``[B, M, 6]``: box, score, label.
Empty rows have the score 0 and the label -1, and come last.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 100
"""Maximum number of boxes in a prediction, as in COCO's evaluation."""

FARTHEST = 2.0
"""Largest relative coordinate; larger ones are taken for pixels."""

VISIBLE = 0.3
"""Minimum fraction of a box that must be inside a view; otherwise the box is removed."""

SAME = 0.5
"""Overlap (IoU) from which two boxes may be the same object."""

SMOOTH = 0.1
"""Smoothing term of `likeness`: two empty predictions have the similarity 1."""


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union ``[*, N, M]`` of boxes ``[*, N, 4]`` and ``[*, M, 4]``."""
    a, b = first.unsqueeze(-2), second.unsqueeze(-3)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    shared = sides.clamp(min=0).prod(dim=-1)
    return shared / (area(a) + area(b) - shared).clamp(min=torch.finfo(shared.dtype).tiny)


def area(boxes: Tensor) -> Tensor:
    """Return areas ``[*]`` of boxes ``[*, 4]``, 0 for inverted boxes."""
    return (boxes[..., 2:4] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def from_lists(images: Sequence[dict[str, Tensor]]) -> Tensor:
    """Convert one dict per image, with relative ``boxes``, ``scores`` and ``labels``, to ``[B, 100, 6]``.

    Raises:
        ValueError: a key is missing, or the boxes are in pixels.
    """
    answer = empty(len(images))
    if images and "boxes" in images[0]:
        answer = answer.to(images[0]["boxes"].device)
    for row, image in zip(answer, images, strict=True):
        if not {"boxes", "scores", "labels"} <= image.keys():
            raise ValueError(f"the keys {', '.join(image)}; the task needs boxes, scores and labels")
        best = image["scores"].argsort(descending=True, stable=True)[:MOST]
        found = torch.cat([image["boxes"], image["scores"][:, None], image["labels"][:, None]], dim=1)
        row[: len(best)] = found[best].float()
    if answer.numel() and answer[..., :4].max() > 1 + 1e-3:
        raise ValueError("boxes in pixels; the task needs shares of the sides, from 0 to 1")
    return answer


def empty(samples: int) -> Tensor:
    """Return empty predictions ``[B, 100, 6]``."""
    answer = torch.zeros(samples, MOST, 6)
    answer[..., 5] = -1
    return answer


def without(answer: Tensor, removed: Tensor) -> Tensor:
    """Return a prediction ``[B, M, 6]`` with empty rows where ``removed [B, M]`` is True."""
    empty_row = answer.new_tensor([0, 0, 0, 0, 0, -1])
    return torch.where(removed.unsqueeze(-1), empty_row, answer)


def best_first(answer: Tensor, most: int = MOST) -> Tensor:
    """Return the ``most`` rows with the highest scores, ``[B, most, 6]``, padded with empty rows."""
    if torch.compiler.is_compiling():  # ONNX has no stable sort
        order = answer[..., 4].topk(min(most, answer.shape[1]), dim=1).indices
    else:
        order = answer[..., 4].argsort(dim=1, descending=True, stable=True)[:, :most]
    best = answer.gather(1, order.unsqueeze(-1).expand(-1, -1, 6))
    padding = most - best.shape[1]
    if padding <= 0:
        return best
    empty_row = answer.new_tensor([0, 0, 0, 0, 0, -1])
    return torch.cat([best, empty_row.expand(len(best), padding, 6)], dim=1)


def transform_boxes(target: Tensor, affine: Tensor) -> Tensor:
    """Return labeled boxes in a view, ``[B, M, 5]``; a rotated box becomes its axis-aligned bounding box.

    Boxes are clipped to the view, and removed if less than `VISIBLE` of their area is left.

    Args:
        target: ``[B, M, 5]``, boxes of the original samples.
        affine: ``[B, 2, 3]``, view to sample, see `Task.transform_labels`.
    """
    x1, y1, x2, y2 = (target[..., :4] * 2 - 1).unbind(dim=-1)
    # four corners of each box, from -1 to 1: [B, M, 4, 2]
    corners = torch.stack([x1, y1, x2, y1, x1, y2, x2, y2], dim=-1).view(*x1.shape, 4, 2)
    # the affine maps the view to the sample; invert it: corners in the view, from 0 to 1
    inverse = torch.linalg.inv(affine[:, :, :2].to(target.dtype))
    shift = affine[:, None, None, :, 2].to(target.dtype)
    in_view = ((corners - shift) @ inverse.transpose(1, 2).unsqueeze(1) + 1) / 2
    # bounding box: [B, M, 4, 2] -> [B, M, 4]
    bounds = torch.cat([in_view.amin(dim=2), in_view.amax(dim=2)], dim=-1)
    clipped = bounds.clamp(0, 1)
    labels = target[..., 4]
    removed = (labels >= 0) & (area(clipped) < VISIBLE * area(bounds))
    boxes_in_view = torch.cat([clipped, torch.where(removed, -1, labels).unsqueeze(-1)], dim=-1)
    return torch.where((labels >= 0).unsqueeze(-1), boxes_in_view, target)


def likeness(answer: Tensor, boxes: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """Return the similarity of predicted and target boxes, ``[B]``, above 0 and up to 1 (equal).

    ``(2 sum s t IoU + c) / (sum s^2 + sum t^2 + c)``: Dice's coefficient with scores. The first sum is over
    pairs of the same class that overlap by half or more and are each other's best match.

    Args:
        answer: ``[B, M, 6]``.
        boxes: ``[B, N, 4]``.
        labels: ``[B, N]``, -1 in padding rows.
        scores: ``[B, N]``, 0 in padding rows.
    """
    # value of each pair, s t IoU: [B, M, N]
    iou = overlap(answer[..., :4], boxes)
    same = (answer[..., 5].unsqueeze(2) == labels.unsqueeze(1)) & (labels >= 0).unsqueeze(1)
    value = torch.where(same & (iou >= SAME), iou, 0)
    value = value * answer[..., 4].unsqueeze(2) * scores.unsqueeze(1)
    # 1 at the largest value of each column and of each row; their product keeps mutual best matches
    rows, columns = (torch.zeros_like(value).scatter(d, value.argmax(dim=d, keepdim=True), 1) for d in (1, 2))
    pairs = (value * rows * columns).sum(dim=(1, 2))
    squares = answer[..., 4].square().sum(dim=1) + scores.square().sum(dim=1)
    return (2 * pairs + SMOOTH) / (squares + SMOOTH)
