"""Convert the raw outputs of other projects' detectors to boxes ``[B, 100, 6]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_convert

from mtkd_tasks import boxes

CANDIDATES = 1000
"""Maximum number of pairs of box and class per image before non-maximum suppression."""

BOX_NAMES, SCORE_NAMES = ("box", "dets"), ("logits", "labels", "scores", "cls", "class")
"""Parts of the names of a DETR's outputs, the surest first."""


@dataclass(frozen=True)
class BoxReader:
    """Reads raw outputs in a known layout, see `mtkd_cli.interfaces.OutputLayout`.

    Attributes:
        layout: ``yolo8``, ``yolo5``, ``end-to-end`` or ``detr``.
        classes: number of classes; 0 for ``end-to-end``, whose outputs do not tell.
        corners: whether boxes are two corners, instead of center, width and height.
        size: height and width of the model's input in pixels, which divide boxes; 1, 1 for relative ones.
        scores: ``probabilities``, ``sigmoid`` or ``softmax`` (the background is last).
        threshold: minimum score of a box.
        iou: overlap above which the lower of two boxes of a class is suppressed.
    """

    layout: str
    classes: int
    corners: bool
    size: tuple[int, int]
    scores: str
    threshold: float
    iou: float

    def __call__(self, output: Any) -> Tensor:
        """Return the boxes, best first.

        Raises:
            ValueError: the outputs have another form than those that were recognized.
        """
        if self.layout == "end-to-end":
            rows = single_tensor(output)
            places, scores, labels = rows[..., :4], rows[..., 4], rows[..., 5]
            return self._pack(places, torch.where(scores >= self.threshold, scores, 0), labels)
        places, scores = self.split(output)  # [B, N, 4], [B, N, C]
        # best pairs of box and class: [B, N, C] -> [B, K]
        best, index = scores.flatten(1).topk(min(CANDIDATES, scores[0].numel()), dim=1)
        labels = index % scores.shape[2]
        places = places.gather(1, (index // scores.shape[2]).unsqueeze(2).expand(-1, -1, 4))
        best = torch.where(best >= self.threshold, best, 0)
        if self.layout != "detr":  # a DETR has one query per object
            best = self._suppress(places, best, labels)
        return self._pack(places, best, labels)

    def split(self, output: Any) -> tuple[Tensor, Tensor]:
        """Return the boxes ``[B, N, 4]`` and the score of each class ``[B, N, C]``, 0 to 1."""
        if self.layout == "detr":
            places, logits = detr_tensors(output)
        else:
            rows = columns_last(single_tensor(output))  # [B, N, 4 + C] or [B, N, 5 + C]
            first = 5 if self.layout == "yolo5" else 4
            places, logits = rows[..., :4], rows[..., 4:]
            logits = logits[..., : first - 4 + self.classes]  # the rest are coefficients of masks
        if self.scores == "softmax":
            return places, logits.float().softmax(dim=2)[..., :-1]
        scores = logits.sigmoid() if self.scores == "sigmoid" else logits
        return places, scores[..., :1] * scores[..., 1:] if self.layout == "yolo5" else scores

    def _suppress(self, places: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the scores ``[B, K]``, 0 for suppressed boxes."""
        corners = self._relative(places)
        likely = scores > 0
        sample = torch.arange(len(scores)).unsqueeze(1).expand_as(labels)
        # one group for each class of each sample
        group = (sample * (self.classes + 1) + labels)[likely]
        kept = batched_nms(corners[likely], scores[likely], group, self.iou)
        is_kept = torch.zeros_like(scores[likely], dtype=torch.bool).index_fill(0, kept, True)
        return torch.zeros_like(scores).masked_scatter(likely, scores[likely] * is_kept)

    def _relative(self, places: Tensor) -> Tensor:
        """Return boxes as corners relative to the sides, clipped to the image."""
        corners = places if self.corners else box_convert(places, "cxcywh", "xyxy")
        return (corners.float() / units(self.size, corners)).clamp(0, 1)

    def _pack(self, places: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        rows = torch.cat(
            [self._relative(places), scores.float().unsqueeze(-1), labels.float().unsqueeze(-1)], dim=-1
        )
        return boxes.best_first(boxes.without(rows, scores <= 0))


def columns_last(rows: Tensor) -> Tensor:
    """Return ``[B, N, columns]``: a detector has more boxes than columns."""
    return rows.transpose(1, 2) if rows.shape[1] < rows.shape[2] else rows


def tensors_in(output: Any) -> dict[str, Tensor]:
    """Return the tensors ``[B, *, *]`` among outputs, by name or number."""
    if isinstance(output, Tensor):
        output = [output]
    elif not isinstance(output, Mapping | list | tuple):
        raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, boxes, 6)")
    named = output.items() if isinstance(output, Mapping) else enumerate(output)
    return {str(name): value for name, value in named if isinstance(value, Tensor) and value.dim() == 3}


def single_tensor(output: Any) -> Tensor:
    """Return the only tensor ``[B, *, *]`` among outputs.

    Raises:
        ValueError: there are none, or several.
    """
    found = tensors_in(output)
    if len(found) != 1:
        raise ValueError(f"{len(found)} outputs (samples, boxes, columns): {', '.join(found)}; one is needed")
    return next(iter(found.values()))


def detr_tensors(output: Any) -> tuple[Tensor, Tensor]:
    """Return the boxes ``[B, N, 4]`` and the class logits ``[B, N, C]`` among outputs.

    Raises:
        ValueError: a tensor is missing.
    """
    found = tensors_in(output)
    four = {name: value for name, value in found.items() if value.shape[2] == 4}
    # without names: logits of four classes are negative somewhere, boxes hardly
    unsigned = {name: value for name, value in four.items() if value.min() > -boxes.FARTHEST}
    place = _named(four if any("box" in name.lower() for name in four) else unsigned or four, BOX_NAMES)
    others = {
        name: value
        for name, value in found.items()
        if place and name != place and value.shape[1] == found[place].shape[1]
    }
    scores = _named(others, SCORE_NAMES)
    if not place or not scores:
        shapes = (
            ", ".join(f"{name} {tuple(value.shape)}" for name, value in found.items()) or "no such output"
        )
        raise ValueError(
            f"{shapes}; layout detr needs boxes (samples, N, 4) and logits (samples, N, classes)"
        )
    return found[place], found[scores]


def _named(tensors: Mapping[str, Tensor], parts: tuple[str, ...]) -> str:
    """Return the name that contains the first of these parts, or else the first name; may be empty."""
    ranked = (name for part in parts for name in tensors if part in name.lower())
    return next(ranked, next(iter(tensors), ""))


def units(size: tuple[int, int], like: Tensor) -> Tensor:
    """Return the sides that divide the numbers of a box, ``[4]``: width, height, width, height."""
    height, width = size
    return torch.tensor([width, height, width, height], dtype=torch.float32, device=like.device)
