"""Merge the boxes of several teachers: weighted boxes fusion, or suppression of all but the best.

Everything here treats each sample by itself: what else is in the batch changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtkd_tasks.boxes import area, best_first, overlap

SIGMA = 0.5
"""Width of soft suppression (Bodla et al., ICCV 2017)."""

TINY = 1e-12


@dataclass(frozen=True)
class Fusion:
    """How boxes are merged.

    Attributes:
        name: ``wbf``, ``nms`` or ``soft-nms``.
        iou: overlap above which boxes of one class are the same object.
        least: score below which a box is left out.
    """

    name: str
    iou: float
    least: float

    def __call__(self, outputs: Sequence[Tensor], weights: Tensor, known: Tensor) -> Tensor:
        """Return the merged boxes ``[B, 100, 6]``, best first.

        Args:
            outputs: K answers ``[B, M, 6]``.
            weights: ``[K, B]``.
            known: ``[K, C]`` bool, the classes that each teacher knows.
        """
        boxes = torch.cat(list(outputs), dim=1).float()
        owners = torch.cat([torch.full((output.shape[1],), k) for k, output in enumerate(outputs)])
        counts = weights.float()[owners.to(weights.device)].T
        if self.name == "wbf":
            return self._fused(boxes, counts, weights.float(), known)
        return self._suppressed(boxes, counts / counts.amax(dim=1, keepdim=True).clamp(min=TINY))

    def _sorted(self, boxes: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, int]:
        """Return boxes ``[B, N, 6]`` by score times count, that product ``[B, N]``, and how many there are.

        What is no box, or has no say, comes last and counts nothing.
        """
        there = (
            (boxes[..., 4] >= self.least) & (boxes[..., 5] >= 0) & (counts > 0) & (area(boxes[..., :4]) > 0)
        )
        say = torch.where(there, boxes[..., 4] * counts, 0)
        order = say.argsort(dim=1, descending=True, stable=True)
        boxes = boxes.gather(1, order.unsqueeze(-1).expand(-1, -1, 6))
        return boxes, say.gather(1, order), int((say > 0).sum(dim=1).max()) if say.numel() else 0

    def _fused(self, boxes: Tensor, counts: Tensor, weights: Tensor, known: Tensor) -> Tensor:
        """Weighted boxes fusion (Solovyev et al., arXiv 1910.13302).

        In the order of ``score times weight`` each box joins the cluster of its class whose fused box it
        overlaps most, if by more than ``iou``, else it starts one. A fused box is the mean of its boxes,
        each counting as much as that product; its score is their mean times ``min(n, K) / sum of weights``.
        K and the sum are of the teachers that have a say and know the class, so a class is not
        doubted because teachers are silent that never heard of it.
        """
        boxes, say, most = self._sorted(boxes, counts)
        samples = torch.arange(len(boxes), device=boxes.device)
        sums = boxes.new_zeros(len(boxes), most, 4)
        total, number = boxes.new_zeros(len(boxes), most), boxes.new_zeros(len(boxes), most)
        labels = boxes.new_full((len(boxes), most), -1)
        clusters = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        for place in range(most):
            box, own, label = boxes[:, place, :4], say[:, place], boxes[:, place, 5]
            shared = overlap(box.unsqueeze(1), sums / total.clamp(min=TINY).unsqueeze(-1))[:, 0]
            best, nearest = shared.masked_fill(labels != label.unsqueeze(1), -1).max(dim=1)
            joins = best > self.iou
            slot = torch.where(joins, nearest, clusters.clamp(max=most - 1))
            there = own > 0
            sums[samples, slot] += box * own.unsqueeze(1)
            total[samples, slot] += own
            number[samples, slot] += there
            labels[samples, slot] = torch.where(there, label, labels[samples, slot])
            clusters += there & ~joins
        speak = (weights > 0).T.unsqueeze(-1) & known
        teachers = speak.sum(dim=1).to(total.dtype)
        heard = (speak * weights.T.unsqueeze(-1)).sum(dim=1)
        of = labels.clamp(min=0).long()
        share = torch.minimum(number, teachers.gather(1, of)) / heard.gather(1, of).clamp(min=TINY)
        scores = (total / number.clamp(min=1) * share).clamp(max=1)
        fused = torch.cat([sums / total.clamp(min=TINY).unsqueeze(-1), torch.stack([scores, labels], -1)], -1)
        return best_first(fused)

    def _suppressed(self, boxes: Tensor, counts: Tensor) -> Tensor:
        """Take the best box, again and again; those of its class that overlap it lose score.

        A score counts in proportion to its teacher's weight, that of the teacher with the most in full.
        """
        boxes, say, most = self._sorted(boxes, counts)
        boxes, left = boxes[:, :most], say[:, :most]
        samples = torch.arange(len(boxes), device=boxes.device)
        scores = torch.zeros_like(left)
        for _ in range(most):
            score, best = left.max(dim=1)
            scores[samples, best] = torch.maximum(scores[samples, best], score)
            shared = overlap(boxes[samples, best, None, :4], boxes[..., :4])[:, 0]
            same = boxes[..., 5] == boxes[samples, best, 5].unsqueeze(1)
            kept = (shared <= self.iou).float() if self.name == "nms" else torch.exp(-shared.square() / SIGMA)
            left = torch.where(same, left * kept, left).scatter(1, best.unsqueeze(1), 0)
        if self.name == "soft-nms":
            scores = torch.where(scores >= self.least, scores, 0)
        labels = torch.where(scores > 0, boxes[..., 5], -1)
        return best_first(torch.cat([boxes[..., :4], torch.stack([scores, labels], -1)], -1))
