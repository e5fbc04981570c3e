"""Detectors of Hugging Face transformers with mtkd's interface: boxes ``[B, 100, 6]``, or their own loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from mtkd_cli.interfaces import DetectionTargets

MAX_BOXES = 100
"""Maximum number of boxes in a prediction."""

MIN_SCORE = 0.05
"""Minimum score of predicted boxes."""

CERTAIN = 0.5
"""Minimum score of a target box; the losses of these detectors have no soft targets."""


class HfDetector(nn.Module):
    """A detector of the DETR family.

    Args:
        inner: the model of transformers.
        classes: number of its classes. One logit more is the background of a softmax (DETR); otherwise each
            class has a sigmoid (RT-DETR, D-FINE).
    """

    def __init__(self, inner: nn.Module, classes: int) -> None:
        super().__init__()
        self.inner, self.classes = inner, classes

    def forward(self, pixels: Tensor) -> Any:
        """Return boxes ``[B, N, 6]`` of ``[B, 3, H, W]``, N up to 100; in training mode an `HfAnswer`."""
        if self.training and torch.is_grad_enabled():
            return HfAnswer(self.inner, pixels)
        found = self.inner(pixel_values=pixels)
        scores = self._class_scores(found.logits.float())  # [B, N, C]
        best, index = scores.flatten(1).topk(min(MAX_BOXES, scores.shape[1]), dim=1)
        query = (index // self.classes).unsqueeze(2).expand(-1, -1, 4)
        boxes = box_convert(found.pred_boxes.float(), "cxcywh", "xyxy").clamp(0, 1).gather(1, query)
        labels = (index % self.classes).to(boxes.dtype)
        rows = torch.cat([boxes, best.unsqueeze(2), labels.unsqueeze(2)], dim=2)
        empty = rows.new_tensor([0, 0, 0, 0, 0, -1])
        return torch.where((best >= MIN_SCORE).unsqueeze(2), rows, empty)

    def _class_scores(self, logits: Tensor) -> Tensor:
        if logits.shape[2] == self.classes:
            return logits.sigmoid()
        likely = logits.softmax(dim=2)[..., :-1]
        return torch.where(likely == likely.amax(dim=2, keepdim=True), likely, 0)  # one class for each query


@dataclass(frozen=True)
class HfAnswer:
    """Training output. The network runs in `loss`: some detectors add noisy labels to their queries."""

    module: nn.Module
    pixels: Tensor

    def loss(self, wanted: DetectionTargets, temperature: float) -> Tensor:
        """Return the detector's own loss of the batch (bipartite matching), for each sample, ``[B]``.

        Only boxes with a score of `CERTAIN` or more are targets; the temperature is not used.
        """
        certain = (wanted.labels >= 0) & (wanted.scores >= CERTAIN)
        targets = [
            {"class_labels": labels[chosen], "boxes": box_convert(boxes[chosen], "xyxy", "cxcywh").float()}
            for boxes, labels, chosen in zip(wanted.boxes, wanted.labels, certain, strict=True)
        ]
        loss: Tensor = self.module(pixel_values=self.pixels, labels=targets).loss
        return loss.expand(len(self.pixels))
