"""Training output of a one-stage detector and its loss: soft classes, boxes and centerness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from mtkd_cli.interfaces import DetectionTargets

SAME_OBJECT = 0.5
"""Overlap above which two target boxes are the same object, which may have several classes."""

NEGATIVES_PER_POSITIVE = 3
"""Number of negative points per positive point in the loss of a softmax over classes (SSD)."""

MASKED_LOGIT = -1e9
"""Logit of classes that a softmax ignores."""


@dataclass(frozen=True)
class Assignment:
    """Candidate points of each target box.

    Attributes:
        strength: ``[B, P, M]``, 0 where a point is not a candidate for a box. A point predicts the box
            with the largest strength times score: an uncertain box takes no point from a certain one.
        ignored: ``[B, P]`` bool, points that are neither positive nor negative; None: no point.
    """

    strength: Tensor
    ignored: Tensor | None = None


@dataclass(frozen=True)
class DenseAnswer:
    """Output of a detector in training mode, at each of its P points (locations or anchors).

    Attributes:
        logits: ``[B, P, C]`` for one sigmoid per class; ``[B, P, 1 + C]`` for a softmax, with ``background``.
        boxes: ``[B, P, 4]``, x1, y1, x2, y2 relative to the sides.
        points: ``[P, 2]``, centers of the points, relative to the sides.
        assign: function that assigns target boxes ``[B, M, 4]`` to points.
        centerness: ``[B, P]`` logits of the centerness (FCOS); None if the network has none.
        background: whether the first class is the background.
        focus: exponent of the quality focal loss; 0: no focus.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    assign: Callable[[Tensor], Assignment]
    centerness: Tensor | None = None
    background: bool = False
    focus: float = 2.0

    def loss(self, wanted: DetectionTargets, temperature: float) -> Tensor:
        """Return the loss of each sample ``[B]``: classes, boxes (GIoU), centerness, over the sum of scores.

        The target of a class at a point is the score of its box (soft target). Boxes that overlap by more
        than half may be one object with different classes from different teachers, so all these classes are
        targets. The class loss is a quality focal loss (arXiv 2006.04388) at the temperature, times its
        square; the box and centerness losses are weighted by the score.
        """
        # drop the columns that are padding in every sample: M target boxes remain
        used = (wanted.labels >= 0) & (wanted.scores > 0)
        in_use = used.any(dim=0)
        used, boxes = used[:, in_use], wanted.boxes[:, in_use]
        scores, labels = wanted.scores[:, in_use] * used, wanted.labels[:, in_use].clamp(min=0)
        if not in_use.any():  # keep one padding column: an image without boxes still has negative points
            used, boxes = wanted.labels.new_zeros(len(boxes), 1, dtype=torch.bool), wanted.boxes[:, :1] * 0
            scores, labels = wanted.scores[:, :1] * 0, wanted.labels[:, :1] * 0
        # [B, P, M]: score of each box that a point may predict
        assignment = self.assign(boxes)
        strength = assignment.strength * scores.unsqueeze(1)
        value = _overlaps_strongest(strength, boxes) * scores.unsqueeze(1).clamp(min=0)
        # [B, P, M] -> [B, P]: box with the highest score; a tie goes to the strongest candidate
        tie_break = torch.zeros_like(value).scatter(2, strength.argmax(dim=2, keepdim=True), 1e-3)
        score, chosen = (value + tie_break * (value > 0)).max(dim=2)
        score = value.gather(2, chosen.unsqueeze(2)).squeeze(2)
        # scatter the scores to classes: [B, P, M] -> [B, P, C]
        soft = torch.zeros_like(self.logits[..., int(self.background) :])
        soft = soft.scatter_reduce(2, labels.unsqueeze(1).expand_as(value), value, "amax")
        if self.background:
            class_loss = self._softmax_loss(
                soft, score > 0, assignment.ignored, wanted.target_classes, temperature
            )
        else:
            class_loss = self._sigmoid_loss(soft, assignment.ignored, wanted.target_classes, temperature)
        # box of each point: [B, M, 4] -> [B, P, 4]
        matched = boxes.gather(1, chosen.unsqueeze(2).expand(-1, -1, 4))
        total = class_loss + (score * self._box_loss(matched, score > 0)).sum(dim=1)
        return total / score.sum(dim=1).clamp(min=1)

    def _box_loss(self, matched: Tensor, positive: Tensor) -> Tensor:
        """Return the box and centerness losses ``[B, P]``; 0 at negative points.

        Args:
            matched: ``[B, P, 4]``, target box of each point.
            positive: ``[B, P]`` bool, points that have a target box.
        """
        loss = self.boxes.new_zeros(positive.shape)
        # positive points of all samples: [B, P, 4] -> [n, 4]
        predicted, target = self.boxes[positive], matched[positive]
        losses = generalized_box_iou_loss(predicted, target)
        if self.centerness is not None:
            center_target = centerness(self.points.expand(len(positive), -1, 2)[positive], target)
            losses = losses + F.binary_cross_entropy_with_logits(
                self.centerness[positive], center_target, reduction="none"
            )
        return loss.masked_scatter(positive, losses)

    def _sigmoid_loss(
        self, soft: Tensor, ignored: Tensor | None, target_classes: Tensor | None, temperature: float
    ) -> Tensor:
        """Return the quality focal loss of each sample ``[B]``; see `_softmax_loss` for the arguments."""
        logits = self.logits / temperature
        target = soften(soft, temperature)
        focus = (target - logits.sigmoid()).abs() ** self.focus
        loss = focus * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        if target_classes is not None:
            loss = loss * target_classes.unsqueeze(1)
        if ignored is not None:
            loss = loss * ~ignored.unsqueeze(2)
        return temperature**2 * loss.sum(dim=(1, 2))

    def _softmax_loss(
        self,
        soft: Tensor,
        positive: Tensor,
        ignored: Tensor | None,
        target_classes: Tensor | None,
        temperature: float,
    ) -> Tensor:
        """Return the cross-entropy of each sample ``[B]``, over positive and hard negative points.

        Args:
            soft: ``[B, P, C]``, target scores without the background.
            positive: ``[B, P]`` bool, points that have a target box.
            ignored: ``[B, P]`` bool, see `Assignment`.
            target_classes: ``[B, C]`` bool, classes that count; None: all.
            temperature: softening of both sides.
        """
        logits = self.logits / temperature
        if target_classes is not None:
            logits = logits.masked_fill(~F.pad(target_classes, (1, 0), value=True).unsqueeze(1), MASKED_LOGIT)
        # the background has the remaining probability: [B, P, C] -> [B, P, 1 + C]
        background = (1 - soft.sum(dim=2, keepdim=True)).clamp(min=0)
        target = torch.cat([background, soft], dim=2) ** (1 / temperature)
        target = target / target.sum(dim=2, keepdim=True)
        loss = -(target * logits.log_softmax(dim=2)).sum(dim=2)
        negative = ~positive if ignored is None else ~positive & ~ignored
        # rank of each negative point by its loss, hardest first: [B, P]
        rank = loss.detach().masked_fill(~negative, -1).argsort(dim=1, descending=True).argsort(dim=1)
        counted = positive | (
            negative & (rank < NEGATIVES_PER_POSITIVE * positive.sum(dim=1, keepdim=True).clamp(min=1))
        )
        return temperature**2 * (loss * counted).sum(dim=1)


def _overlaps_strongest(strength: Tensor, boxes: Tensor) -> Tensor:
    """Return which candidates overlap a point's strongest one (or are it), 1.0 or 0.0, ``[B, P, M]``."""
    pairs = pairwise_iou(boxes, boxes)  # [B, M, M]
    # row of the strongest candidate of each point: [B, M, M] -> [B, P, M]
    strongest = strength.argmax(dim=2, keepdim=True).expand(-1, -1, pairs.shape[2])
    return ((pairs.gather(1, strongest) > SAME_OBJECT) & (strength > 0)).float()


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the overlap (IoU) of each pair of boxes of a sample, ``[B, N, M]``: ``box_iou`` for a batch.

    Empty boxes overlap nothing.

    Args:
        first: ``[B, N, 4]``; B may be 1.
        second: ``[B, M, 4]``.
    """
    a, b = first.unsqueeze(2), second.unsqueeze(1)
    sides = torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])
    shared = sides.clamp(min=0).prod(dim=-1)
    total = (a[..., 2:] - a[..., :2]).prod(dim=-1) + (b[..., 2:] - b[..., :2]).prod(dim=-1) - shared
    return shared / total.clamp(min=torch.finfo(total.dtype).tiny)


def soften(scores: Tensor, temperature: float) -> Tensor:
    """Divide the logits of probabilities by the temperature; 0 and 1 stay as they are."""
    if temperature == 1:
        return scores
    positive, negative = scores ** (1 / temperature), (1 - scores) ** (1 / temperature)
    return positive / (positive + negative)


def centerness(points: Tensor, boxes: Tensor) -> Tensor:
    """Return how close points ``[n, 2]`` are to the center of boxes ``[n, 4]``, 0 to 1 (FCOS, eq. 3)."""
    before, after = points - boxes[:, :2], boxes[:, 2:] - points
    ratio = torch.minimum(before, after) / torch.maximum(before, after)
    return ratio.clamp(min=0).prod(dim=1).sqrt()
