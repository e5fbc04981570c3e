"""torchvision's detectors as mtkd uses them: images in, boxes ``[B, 100, 6]`` out; a loss while trained.

Each keeps the parameters, and their names, of the class that it extends, so its weights load into
plain torchvision and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import batched_nms

from mtkd_cli.interfaces import InputSpec, Wanted
from mtkd_teachers.dense_answer import DenseAnswer
from mtkd_teachers.fixed_boxes import suppressed
from mtkd_teachers.target_assignment import by_centre, by_overlap

MOST = 100
"""Boxes that an answer has at most."""

CANDIDATES = 1000
"""Boxes of an image that reach the suppression at most."""

SURE = 0.5
"""Score from which a two-stage detector, which knows no soft targets, learns a merged box."""

UNCLEAR = 0.4
"""Overlap from which RetinaNet says nothing of an anchor that no box claims."""


class OneStage(nn.Module):
    """A detector that answers at every place of its feature maps."""

    backbone: Any
    head: Any
    anchor_generator: Any
    box_coder: Any
    score_thresh: float
    nms_thresh: float
    center_sampling_radius: float

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        """Return boxes of images ``[B, C, H, W]``, in training mode a `DenseAnswer`."""
        features = self.backbone(images)
        features = [features] if isinstance(features, Tensor) else list(features.values())
        size = (images.shape[-2], images.shape[-1])
        anchors = self.anchor_generator(ImageList(images, [size]), features)[0]
        levels = [level.shape[-2] * level.shape[-1] for level in features]
        answer = self.answer(self.head(features), anchors, levels, size)
        return answer if self.training else self.found(answer)

    def answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return what the head answers; its anchors and boxes are in pixels of an image of ``size``."""
        raise NotImplementedError

    def scores(self, answer: DenseAnswer) -> Tensor:
        """Return the probability of each class at each place, ``[B, P, C]``."""
        return answer.logits.sigmoid()

    def found(self, answer: DenseAnswer) -> Tensor:
        """Return the boxes that remain after suppression, ``[B, 100, 6]``."""
        scores = self.scores(answer)
        samples, _, classes = scores.shape
        best, place = scores.flatten(1).topk(min(CANDIDATES, scores[0].numel()), dim=1)
        boxes = answer.boxes.clamp(0, 1).gather(1, (place // classes).unsqueeze(-1).expand(-1, -1, 4))
        labels = place % classes
        if torch.compiler.is_compiling():  # exporting, too: no shape may depend on the image
            each = zip(boxes.float(), best, labels, strict=True)
            return torch.stack([suppressed(*one, self.score_thresh, self.nms_thresh, MOST) for one in each])
        sample = torch.arange(samples, device=scores.device).unsqueeze(1).expand_as(place)
        likely = best > self.score_thresh
        kept = batched_nms(
            boxes[likely].float(), best[likely], (sample * classes + labels)[likely], self.nms_thresh
        )
        rows = torch.cat([boxes, best.unsqueeze(-1), labels.unsqueeze(-1)], dim=-1)[likely][kept]
        return _by_sample(rows, sample[likely][kept], samples)


class FcosDetector(OneStage, FCOS):  # type: ignore[misc]
    """FCOS (arXiv 2006.09214)."""

    focus = 2.0
    """See `DenseAnswer`."""

    def answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return classes, boxes and centre-ness."""
        distances = outputs["bbox_regression"]
        boxes = self.box_coder.decode(distances, anchors.expand(len(distances), -1, 4))
        places = _shares(anchors, size)
        return DenseAnswer(
            outputs["cls_logits"],
            _shares(boxes, size),
            (places[:, :2] + places[:, 2:]) / 2,
            by_centre(places, levels, self.center_sampling_radius),
            outputs["bbox_ctrness"].squeeze(2),
            focus=self.focus,
        )

    def scores(self, answer: DenseAnswer) -> Tensor:
        """Return ``sqrt(p(class) p(centre))``."""
        return (answer.logits.sigmoid() * answer.centred.sigmoid().unsqueeze(2)).sqrt()  # type: ignore[union-attr]


class AnchorBoxes(OneStage):
    """A one-stage detector whose boxes are moves of anchor boxes.

    Attributes:
        background_overlap: overlap with a true box below which an anchor is background.
        has_background: whether the first class is the background.
    """

    background_overlap: float
    has_background = False

    def answer(
        self, outputs: dict[str, Tensor], anchors: Tensor, levels: list[int], size: tuple[int, int]
    ) -> DenseAnswer:
        """Return classes and boxes."""
        places = _shares(anchors, size)
        boxes = _decoded(self.box_coder, outputs["bbox_regression"], anchors)
        return DenseAnswer(
            outputs["cls_logits"],
            _shares(boxes, size),
            (places[:, :2] + places[:, 2:]) / 2,
            by_overlap(places, high=0.5, low=self.background_overlap),
            background=self.has_background,
        )


class RetinaNetDetector(AnchorBoxes, RetinaNet):  # type: ignore[misc]
    """RetinaNet (arXiv 1708.02002)."""

    background_overlap = UNCLEAR


class SsdDetector(AnchorBoxes, SSD):  # type: ignore[misc]
    """SSD (arXiv 1512.02325) and SSDLite (arXiv 1801.04381)."""

    background_overlap, has_background = 0.5, True

    def scores(self, answer: DenseAnswer) -> Tensor:
        """Return the probabilities of the classes beside the background."""
        return answer.logits.softmax(dim=2)[..., 1:]


class TwoStageDetector(FasterRCNN):  # type: ignore[misc]
    """Faster R-CNN (arXiv 1506.01497)."""

    def forward(self, images: Tensor, targets: Any = None) -> Any:
        """Return boxes of images ``[B, C, H, W]``, in training mode a `TwoStageAnswer`."""
        size = (images.shape[-2], images.shape[-1])
        features = self.backbone(images)
        if isinstance(features, Tensor):
            features = {"0": features}  # as torchvision does with a backbone of one level
        if self.training:
            return TwoStageAnswer(self, images, features, size)
        shown = ImageList(images, [size] * len(images))
        proposals, _ = self.rpn(shown, features, None)
        found, _ = self.roi_heads(features, proposals, shown.image_sizes, None)
        rows = [
            torch.cat([_shares(f["boxes"], size), f["scores"][:, None], f["labels"][:, None] - 1], dim=1)
            for f in found
        ]
        sample = torch.cat([torch.full((len(row),), number) for number, row in enumerate(rows)])
        return _by_sample(torch.cat(rows), sample.to(images.device), len(images))


@dataclass(frozen=True)
class TwoStageAnswer:
    """What Faster R-CNN answers while it is trained; its losses are torchvision's own."""

    module: TwoStageDetector
    images: Tensor
    features: dict[str, Tensor]
    size: tuple[int, int]

    def loss(self, wanted: Wanted, temperature: float) -> Tensor:
        """Return the sum of the four losses of each sample, ``[B]``; of sure boxes, at no temperature."""
        return torch.stack([self._of_sample(number, wanted) for number in range(len(self.images))])

    def _of_sample(self, number: int, wanted: Wanted) -> Tensor:
        sure = (wanted.labels[number] >= 0) & (wanted.scores[number] >= SURE)
        height, width = self.size
        scale = wanted.boxes.new_tensor([width, height, width, height])
        target = {
            "boxes": wanted.boxes[number][sure] * scale,
            "labels": wanted.labels[number][sure] + 1,
        }
        features = {name: level[number : number + 1] for name, level in self.features.items()}
        shown = ImageList(self.images[number : number + 1], [self.size])
        proposals, of_proposals = self.module.rpn(shown, features, [target])
        _, of_boxes = self.module.roi_heads(features, proposals, shown.image_sizes, [target])
        losses: Tensor = sum((*of_proposals.values(), *of_boxes.values()), start=wanted.boxes.new_zeros(()))
        return losses


KINDS: dict[type[nn.Module], type[nn.Module]] = {
    FCOS: FcosDetector,
    RetinaNet: RetinaNetDetector,
    SSD: SsdDetector,
    FasterRCNN: TwoStageDetector,
}
BACKGROUND = (SsdDetector, TwoStageDetector)
"""Kinds whose first class is the background, which has no number here."""


def as_detector(module: nn.Module) -> nn.Module | None:
    """Return a torchvision detector as mtkd's, changed in place; None if it is none that mtkd knows."""
    kind = next((own for known, own in KINDS.items() if type(module) is known), None)
    if kind is None:
        return module if isinstance(module, tuple(KINDS.values())) else None
    module.__class__ = kind
    return module


def _decoded(coder: Any, codes: Tensor, anchors: Tensor) -> Tensor:
    """Return boxes ``[B, P, 4]`` of their codes."""
    flat: Tensor = coder.decode_single(codes.flatten(0, 1), anchors.repeat(len(codes), 1))
    return flat.view_as(codes)


def _shares(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    return boxes / boxes.new_tensor([width, height, width, height])


def _by_sample(rows: Tensor, sample: Tensor, samples: int) -> Tensor:
    """Return boxes ``[n, 6]``, best first, as ``[B, 100, 6]``; ``sample [n]`` says whose they are."""
    answer = rows.new_zeros(samples, MOST, 6)
    answer[..., 5] = -1
    owner, order = sample.sort(stable=True)
    first = torch.searchsorted(owner, torch.arange(samples, device=owner.device))
    place = torch.arange(len(owner), device=owner.device) - first[owner]
    kept = place < MOST
    answer[owner[kept], place[kept]] = rows[order][kept]
    return answer


def input_of(detector: nn.Module, size: int) -> InputSpec:
    """Return how a detector wants its images: normalised as its own transform has it, of a side in pixels."""
    own = vars(detector.get_submodule("transform"))
    return InputSpec(size=size, channels=3, mean=tuple(own["image_mean"]), std=tuple(own["image_std"]))


def take_over(module: nn.Module, other: nn.Module) -> None:
    """Give a module every tensor of another one that it has too, in the same shape."""
    own = module.state_dict()
    theirs = {name: value for name, value in other.state_dict().items() if name in own}
    module.load_state_dict({n: v for n, v in theirs.items() if v.shape == own[n].shape}, strict=False)
