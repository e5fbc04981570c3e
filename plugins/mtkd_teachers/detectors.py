"""torchvision's detectors with mtkd's interface: images in, boxes ``[B, 100, 6]`` or a training output out.

Each class keeps the parameter names of the torchvision class that it extends, so weights can be exchanged
with plain torchvision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms

from mtkd_cli.interfaces import DetectionTargets, InputSpec
from mtkd_teachers.dense_answer import DenseAnswer
from mtkd_teachers.fixed_boxes import suppress
from mtkd_teachers.target_assignment import assign_by_center, assign_by_overlap

MAX_BOXES = 100
"""Maximum number of boxes in a prediction."""

CANDIDATES = 1000
"""Maximum number of boxes per image before non-maximum suppression."""

CERTAIN = 0.5
"""Minimum score of a target box of two-stage detectors, which have no soft targets."""

IGNORED = 0.4
"""Overlap from which RetinaNet ignores an anchor that no box is assigned to."""


class OneStage(nn.Module, ABC):
    """A detector that predicts at every location of its feature maps."""

    backbone: Any
    head: Any
    anchor_generator: Any
    box_coder: Any
    score_thresh: float
    nms_thresh: float
    center_sampling_radius: float

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        """Return boxes ``[B, 100, 6]`` of images ``[B, C, H, W]``; in training mode a `DenseAnswer`."""
        features = self.backbone(images)
        features = [features] if isinstance(features, Tensor) else list(features.values())
        size = (images.shape[-2], images.shape[-1])
        anchors = self.anchor_generator(ImageList(images, [size]), features)[0]
        levels = [level.shape[-2] * level.shape[-1] for level in features]
        answer = self.dense_answer(self.head(features), anchors, levels, size)
        return answer if self.training else self.select_boxes(answer)

    @abstractmethod
    def dense_answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return the training output.

        Args:
            outputs: outputs of the head, by name.
            anchors: ``[P, 4]``, in pixels.
            levels: number of anchors of each feature map.
            size: height and width of the images, in pixels.
        """

    def class_scores(self, answer: DenseAnswer) -> Tensor:
        """Return the probability of each class at each point, ``[B, P, C]``."""
        return answer.logits.sigmoid()

    def select_boxes(self, answer: DenseAnswer) -> Tensor:
        """Return the best boxes after non-maximum suppression, ``[B, 100, 6]``."""
        scores = self.class_scores(answer)
        samples, _, classes = scores.shape
        # best pairs of point and class: [B, P, C] -> [B, N]
        best, index = scores.flatten(1).topk(min(CANDIDATES, scores[0].numel()), dim=1)
        boxes = answer.boxes.clamp(0, 1).gather(1, (index // classes).unsqueeze(-1).expand(-1, -1, 4))
        labels = index % classes
        if torch.compiler.is_compiling():  # also during export: shapes must not depend on the image
            images = zip(boxes.float(), best, labels, strict=True)
            return torch.stack(
                [suppress(*image, self.score_thresh, self.nms_thresh, MAX_BOXES) for image in images]
            )
        # suppress within each class of each sample, over the candidates of all samples at once: [n, 4]
        sample = torch.arange(samples, device=scores.device).unsqueeze(1).expand_as(index)
        likely = best > self.score_thresh
        kept = batched_nms(
            boxes[likely].float(), best[likely], (sample * classes + labels)[likely], self.nms_thresh
        )
        rows = torch.cat([boxes, best.unsqueeze(-1), labels.unsqueeze(-1)], dim=-1)[likely][kept]
        return _group_by_sample(rows, sample[likely][kept], samples)


class FcosDetector(OneStage, FCOS):  # type: ignore[misc]
    """FCOS (arXiv 2006.09214)."""

    focus = 2.0
    """See `DenseAnswer`."""

    def dense_answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return classes, boxes and centerness."""
        distances = outputs["bbox_regression"]
        boxes = self.box_coder.decode(distances, anchors.expand(len(distances), -1, 4))
        cells = _relative(anchors, size)
        return DenseAnswer(
            outputs["cls_logits"],
            _relative(boxes, size),
            (cells[:, :2] + cells[:, 2:]) / 2,
            assign_by_center(cells, levels, self.center_sampling_radius),
            outputs["bbox_ctrness"].squeeze(2),
            focus=self.focus,
        )

    def class_scores(self, answer: DenseAnswer) -> Tensor:
        """Return ``sqrt(p(class) * centerness)``, ``[B, P, C]``."""
        return (answer.logits.sigmoid() * answer.centerness.sigmoid().unsqueeze(2)).sqrt()  # type: ignore[union-attr]


class AnchorBoxes(OneStage):
    """A one-stage detector whose boxes are moves of anchor boxes.

    Attributes:
        background_overlap: overlap with a true box below which an anchor is background.
        has_background: whether the first class is the background.
    """

    background_overlap: float
    has_background = False

    def dense_answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return classes and boxes."""
        boxes = _decode(self.box_coder, outputs["bbox_regression"], anchors)
        anchors = _relative(anchors, size)
        return DenseAnswer(
            outputs["cls_logits"],
            _relative(boxes, size),
            (anchors[:, :2] + anchors[:, 2:]) / 2,
            assign_by_overlap(anchors, high=0.5, low=self.background_overlap),
            background=self.has_background,
        )


class RetinaNetDetector(AnchorBoxes, RetinaNet):  # type: ignore[misc]
    """RetinaNet (arXiv 1708.02002)."""

    background_overlap = IGNORED


class SsdDetector(AnchorBoxes, SSD):  # type: ignore[misc]
    """SSD (arXiv 1512.02325) and SSDLite (arXiv 1801.04381)."""

    background_overlap, has_background = 0.5, True

    def class_scores(self, answer: DenseAnswer) -> Tensor:
        """Return the probabilities of the classes without the background, ``[B, P, C]``."""
        return answer.logits.softmax(dim=2)[..., 1:]


class TwoStageDetector(FasterRCNN):  # type: ignore[misc]
    """Faster R-CNN (arXiv 1506.01497)."""

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        """Return boxes ``[B, 100, 6]`` of images ``[B, C, H, W]``; in training mode a `TwoStageAnswer`."""
        size = (images.shape[-2], images.shape[-1])
        features = self.backbone(images)
        if isinstance(features, Tensor):
            features = {"0": features}  # like torchvision for a backbone with one level
        if self.training:
            return TwoStageAnswer(self, images, features, size)
        image_list = ImageList(images, [size] * len(images))
        proposals, _ = self.rpn(image_list, features, None)
        detections, _ = self.roi_heads(features, proposals, image_list.image_sizes, None)
        # one [n, 6] per sample; torchvision's class 0 is the background
        rows = [
            torch.cat([_relative(d["boxes"], size), d["scores"][:, None], d["labels"][:, None] - 1], dim=1)
            for d in detections
        ]
        sample = torch.cat([torch.full((len(row),), number) for number, row in enumerate(rows)])
        return _group_by_sample(torch.cat(rows), sample.to(images.device), len(images))


@dataclass(frozen=True)
class TwoStageAnswer:
    """Training output of Faster R-CNN; its losses are torchvision's."""

    module: TwoStageDetector
    images: Tensor
    features: dict[str, Tensor]
    size: tuple[int, int]

    def loss(self, wanted: DetectionTargets, temperature: float) -> Tensor:
        """Return the sum of the four losses of each sample, ``[B]``.

        Only boxes with a score of `CERTAIN` or more are targets; the temperature is not used.
        """
        return torch.stack([self._sample_loss(number, wanted) for number in range(len(self.images))])

    def _sample_loss(self, number: int, wanted: DetectionTargets) -> Tensor:
        certain = (wanted.labels[number] >= 0) & (wanted.scores[number] >= CERTAIN)
        height, width = self.size
        scale = wanted.boxes.new_tensor([width, height, width, height])
        target = {
            "boxes": wanted.boxes[number][certain] * scale,
            "labels": wanted.labels[number][certain] + 1,
        }
        features = {name: level[number : number + 1] for name, level in self.features.items()}
        image = ImageList(self.images[number : number + 1], [self.size])
        proposals, proposal_losses = self.module.rpn(image, features, [target])
        _, box_losses = self.module.roi_heads(features, proposals, image.image_sizes, [target])
        total: Tensor = sum(
            (*proposal_losses.values(), *box_losses.values()), start=wanted.boxes.new_zeros(())
        )
        return total


KINDS: dict[type[nn.Module], type[nn.Module]] = {
    FCOS: FcosDetector,
    RetinaNet: RetinaNetDetector,
    SSD: SsdDetector,
    FasterRCNN: TwoStageDetector,
}
BACKGROUND = (SsdDetector, TwoStageDetector)
"""Detectors whose first class is the background; mtkd's class numbers skip it."""


def as_detector(module: nn.Module) -> nn.Module | None:
    """Convert a torchvision detector to mtkd's class, in place; return None for other modules."""
    kind = next((own for torchvision, own in KINDS.items() if type(module) is torchvision), None)
    if kind is None:
        return module if isinstance(module, tuple(KINDS.values())) else None
    module.__class__ = kind
    return module


def _decode(coder: Any, codes: Tensor, anchors: Tensor) -> Tensor:
    """Decode box regression outputs ``[B, P, 4]`` to boxes ``[B, P, 4]`` in pixels."""
    flat: Tensor = coder.decode_single(codes.flatten(0, 1), anchors.repeat(len(codes), 1))
    return flat.view_as(codes)


def _relative(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Convert boxes ``[*, 4]`` from pixels to fractions of the sides."""
    height, width = size
    return boxes / boxes.new_tensor([width, height, width, height])


def _group_by_sample(rows: Tensor, sample: Tensor, samples: int) -> Tensor:
    """Return the boxes of each sample, ``[n, 6]`` -> ``[B, 100, 6]``, padded with empty boxes.

    Args:
        rows: ``[n, 6]``, best first.
        sample: ``[n]``, index of the sample of each row.
        samples: number of samples B.
    """
    answer = rows.new_zeros(samples, MAX_BOXES, 6)
    answer[..., 5] = -1
    # sort by sample, then number the rows within each sample
    owner, order = sample.sort(stable=True)
    first = torch.searchsorted(owner, torch.arange(samples, device=owner.device))
    rank = torch.arange(len(owner), device=owner.device) - first[owner]
    kept = rank < MAX_BOXES
    answer[owner[kept], rank[kept]] = rows[order][kept]
    return answer


def input_spec(detector: nn.Module, size: int | tuple[int, int]) -> InputSpec:
    """Return a detector's input: the normalization of its own transform, and its size in pixels."""
    own = vars(detector.get_submodule("transform"))
    return InputSpec(size=size, channels=3, mean=tuple(own["image_mean"]), std=tuple(own["image_std"]))


def copy_matching_weights(module: nn.Module, other: nn.Module) -> None:
    """Copy to ``module`` every tensor of ``other`` that it has with the same name and shape."""
    own = module.state_dict()
    theirs = {name: value for name, value in other.state_dict().items() if name in own}
    module.load_state_dict({n: v for n, v in theirs.items() if v.shape == own[n].shape}, strict=False)
