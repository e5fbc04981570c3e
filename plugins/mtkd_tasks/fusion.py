"""Merge the boxes of several teachers, by weighted boxes fusion or non-maximum suppression.

Each sample is merged independently of the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtkd_tasks.boxes import area, best_first, overlap

SIGMA = 0.5
"""Width of the Gaussian in soft-NMS (Bodla et al., ICCV 2017)."""

TINY = 1e-12


@dataclass(frozen=True)
class Fusion:
    """A method to merge boxes.

    Attributes:
        name: ``wbf``, ``nms`` or ``soft-nms``.
        iou: overlap above which boxes of a class are the same object.
        least: minimum score of a box.
    """

    name: str
    iou: float
    least: float

    def __call__(self, outputs: Sequence[Tensor], weights: Tensor, known: Tensor) -> Tensor:
        """Return the merged boxes ``[B, 100, 6]``, best first.

        Args:
            outputs: K predictions ``[B, M, 6]``.
            weights: weights of the teachers, ``[K, B]``.
            known: ``[K, C]`` bool, classes that each teacher knows.
        """
        # all boxes of a sample, with the weight of their teacher: [B, N, 6] and [B, N]
        boxes = torch.cat(list(outputs), dim=1).float()
        owners = torch.cat([torch.full((output.shape[1],), k) for k, output in enumerate(outputs)])
        box_weights = weights.float()[owners.to(weights.device)].T
        if self.name == "wbf":
            return self._fuse(boxes, box_weights, weights.float(), known)
        return self._suppress(boxes, box_weights / box_weights.amax(dim=1, keepdim=True).clamp(min=TINY))

    def _sort(self, boxes: Tensor, box_weights: Tensor) -> tuple[Tensor, Tensor, int]:
        """Return boxes ``[B, N, 6]`` sorted by weighted score, that score ``[B, N]``, and the maximum count.

        Empty rows, boxes without weight and boxes below the minimum score come last and have the score 0.
        """
        valid = (
            (boxes[..., 4] >= self.least)
            & (boxes[..., 5] >= 0)
            & (box_weights > 0)
            & (area(boxes[..., :4]) > 0)
        )
        scores = torch.where(valid, boxes[..., 4] * box_weights, 0)
        order = scores.argsort(dim=1, descending=True, stable=True)
        boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 6))
        return boxes, scores.gather(1, order), int((scores > 0).sum(dim=1).max()) if scores.numel() else 0

    def _fuse(self, boxes: Tensor, box_weights: Tensor, weights: Tensor, known: Tensor) -> Tensor:
        """Weighted boxes fusion (Solovyev et al., arXiv 1910.13302).

        In descending order of ``score times weight``, each box joins the cluster of its class whose fused box
        it overlaps most, if the overlap is above ``iou``; otherwise it starts a cluster. A fused box is the
        mean of its boxes, weighted by ``score times weight``. Its score is the mean of these products times
        ``min(n, K) / sum of weights``, with n boxes in the cluster. K and the sum only include teachers that
        have a weight and know the class: teachers that do not know a class do not lower its score.
        """
        boxes, weighted_scores, max_count = self._sort(boxes, box_weights)
        samples = torch.arange(len(boxes), device=boxes.device)
        # N = max_count clusters per sample: sums of weighted corners [B, N, 4]; totals, counts, labels [B, N]
        sums = boxes.new_zeros(len(boxes), max_count, 4)
        total, number = boxes.new_zeros(len(boxes), max_count), boxes.new_zeros(len(boxes), max_count)
        labels = boxes.new_full((len(boxes), max_count), -1)
        clusters = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        for rank in range(max_count):
            box, score, label = boxes[:, rank, :4], weighted_scores[:, rank], boxes[:, rank, 5]
            # overlap with the fused boxes of the same class: [B, max_count] -> best cluster [B]
            iou = overlap(box.unsqueeze(1), sums / total.clamp(min=TINY).unsqueeze(-1))[:, 0]
            best, nearest = iou.masked_fill(labels != label.unsqueeze(1), -1).max(dim=1)
            joins = best > self.iou
            slot = torch.where(joins, nearest, clusters.clamp(max=max_count - 1))
            valid = score > 0
            sums[samples, slot] += box * score.unsqueeze(1)
            total[samples, slot] += score
            number[samples, slot] += valid
            labels[samples, slot] = torch.where(valid, label, labels[samples, slot])
            clusters += valid & ~joins
        # number and total weight of the teachers that know each class: [B, K, C] -> [B, C]
        counted = (weights > 0).T.unsqueeze(-1) & known
        teachers = counted.sum(dim=1).to(total.dtype)
        total_weight = (counted * weights.T.unsqueeze(-1)).sum(dim=1)
        # look up the class of each cluster: [B, C] -> [B, max_count]
        index = labels.clamp(min=0).long()
        factor = torch.minimum(number, teachers.gather(1, index)) / total_weight.gather(1, index).clamp(
            min=TINY
        )
        scores = (total / number.clamp(min=1) * factor).clamp(max=1)
        fused = torch.cat([sums / total.clamp(min=TINY).unsqueeze(-1), torch.stack([scores, labels], -1)], -1)
        return best_first(fused)

    def _suppress(self, boxes: Tensor, box_weights: Tensor) -> Tensor:
        """Non-maximum suppression: repeatedly take the best box and lower the scores of overlapping ones.

        Scores are multiplied by the teacher's weight relative to the largest weight.
        """
        boxes, weighted_scores, max_count = self._sort(boxes, box_weights)
        boxes, remaining = boxes[:, :max_count], weighted_scores[:, :max_count]
        samples = torch.arange(len(boxes), device=boxes.device)
        scores = torch.zeros_like(remaining)
        for _ in range(max_count):
            score, best = remaining.max(dim=1)
            scores[samples, best] = torch.maximum(scores[samples, best], score)
            # overlap of the best box with all boxes: [B, max_count]
            iou = overlap(boxes[samples, best, None, :4], boxes[..., :4])[:, 0]
            same = boxes[..., 5] == boxes[samples, best, 5].unsqueeze(1)
            decay = (iou <= self.iou).float() if self.name == "nms" else torch.exp(-iou.square() / SIGMA)
            remaining = torch.where(same, remaining * decay, remaining).scatter(1, best.unsqueeze(1), 0)
        if self.name == "soft-nms":
            scores = torch.where(scores >= self.least, scores, 0)
        labels = torch.where(scores > 0, boxes[..., 5], -1)
        return best_first(torch.cat([boxes[..., :4], torch.stack([scores, labels], -1)], -1))
