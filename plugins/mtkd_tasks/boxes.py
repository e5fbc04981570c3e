"""Boxes as tensors: overlap, geometry of views, and how alike two sets of them are.

A box is x1, y1, x2, y2 as shares of the image's sides. An answer is ``[B, M, 6]``: box, score, label;
rows of no box have the score 0 and the label -1, and lie behind the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 100
"""Boxes that an answer has at most; as COCO counts them."""

FARTHEST = 2.0
"""Share of a side beyond which a corner is one in pixels."""

VISIBLE = 0.3
"""Share of a box that must be left in a view for the box to be there."""

SAME = 0.5
"""Overlap from which two boxes may be the same object."""

SMOOTH = 0.1
"""Added above and below the likeness of two answers, so that two empty ones are alike."""


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return the intersection over union ``[*, N, M]`` of boxes ``[*, N, 4]`` and ``[*, M, 4]``."""
    a, b = first.unsqueeze(-2), second.unsqueeze(-3)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    shared = sides.clamp(min=0).prod(dim=-1)
    return shared / (area(a) + area(b) - shared).clamp(min=torch.finfo(shared.dtype).tiny)


def area(boxes: Tensor) -> Tensor:
    """Return areas ``[*]`` of boxes ``[*, 4]``, 0 of what is no box."""
    return (boxes[..., 2:4] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def from_lists(images: Sequence[dict[str, Tensor]]) -> Tensor:
    """Return ``[B, 100, 6]`` of one dict an image: ``boxes`` (shares), ``scores`` and ``labels``.

    Raises:
        ValueError: a key is missing, or boxes are no shares.
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
    """Return answers ``[B, 100, 6]`` without boxes."""
    answer = torch.zeros(samples, MOST, 6)
    answer[..., 5] = -1
    return answer


def without(answer: Tensor, gone: Tensor) -> Tensor:
    """Return an answer ``[B, M, 6]`` with the rows where ``gone [B, M]`` emptied."""
    nothing = answer.new_tensor([0, 0, 0, 0, 0, -1])
    return torch.where(gone.unsqueeze(-1), nothing, answer)


def best_first(answer: Tensor, most: int = MOST) -> Tensor:
    """Return the ``most`` rows of an answer with the highest scores, filled up with empty ones."""
    if torch.compiler.is_compiling():  # ONNX has no stable sort
        order = answer[..., 4].topk(min(most, answer.shape[1]), dim=1).indices
    else:
        order = answer[..., 4].argsort(dim=1, descending=True, stable=True)[:, :most]
    kept = answer.gather(1, order.unsqueeze(-1).expand(-1, -1, 6))
    short = most - kept.shape[1]
    if short <= 0:
        return kept
    nothing = answer.new_tensor([0, 0, 0, 0, 0, -1])
    return torch.cat([kept, nothing.expand(len(kept), short, 6)], dim=1)


def moved(target: Tensor, affine: Tensor) -> Tensor:
    """Return labels ``[B, M, 5]`` as a view shows them; a turned box becomes the upright one around it.

    What lies outside the view is cut off, and a box of which less than `VISIBLE` is left is gone.

    Args:
        target: labels of the plain samples.
        affine: ``[B, 2, 3]``, see `Task.moved`.
    """
    x1, y1, x2, y2 = (target[..., :4] * 2 - 1).unbind(dim=-1)
    corners = torch.stack([x1, y1, x2, y1, x1, y2, x2, y2], dim=-1).view(*x1.shape, 4, 2)
    back = torch.linalg.inv(affine[:, :, :2].to(target.dtype))
    there = affine[:, None, None, :, 2].to(target.dtype)
    shown = ((corners - there) @ back.transpose(1, 2).unsqueeze(1) + 1) / 2
    whole = torch.cat([shown.amin(dim=2), shown.amax(dim=2)], dim=-1)
    cut = whole.clamp(0, 1)
    labels = target[..., 4]
    gone = (labels >= 0) & (area(cut) < VISIBLE * area(whole))
    moved_to = torch.cat([cut, torch.where(gone, -1, labels).unsqueeze(-1)], dim=-1)
    return torch.where((labels >= 0).unsqueeze(-1), moved_to, target)


def likeness(answer: Tensor, boxes: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """Return how alike an answer is to wanted boxes, ``[B]``, above 0 to 1 (the same).

    ``(2 sum s t IoU + c) / (sum s^2 + sum t^2 + c)``, the first sum over pairs of one class that
    overlap by half or more and are each other's best: Dice's coefficient, with scores.

    Args:
        answer: ``[B, M, 6]``.
        boxes: ``[B, N, 4]``.
        labels: ``[B, N]``, -1: none.
        scores: ``[B, N]``, 0 where there is none.
    """
    shared = overlap(answer[..., :4], boxes)
    same = (answer[..., 5].unsqueeze(2) == labels.unsqueeze(1)) & (labels >= 0).unsqueeze(1)
    value = torch.where(same & (shared >= SAME), shared, 0)
    value = value * answer[..., 4].unsqueeze(2) * scores.unsqueeze(1)
    rows, columns = (torch.zeros_like(value).scatter(d, value.argmax(dim=d, keepdim=True), 1) for d in (1, 2))
    pairs = (value * rows * columns).sum(dim=(1, 2))
    squares = answer[..., 4].square().sum(dim=1) + scores.square().sum(dim=1)
    return (2 * pairs + SMOOTH) / (squares + SMOOTH)
