"""Detection: boxes with classes. Outputs are ``[B, M, 6]``: relative x1, y1, x2, y2, score, label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import (
    Alignment,
    Columns,
    Details,
    DetectionTargets,
    HasScores,
    LossOptions,
    Merged,
    MergesViews,
    Metric,
    OutputForm,
    OutputLayout,
    Placement,
    Prediction,
    Task,
    TaskData,
)
from mtkd_tasks import box_views, boxes
from mtkd_tasks.average_precision import average_precision, columns_of, facts
from mtkd_tasks.fusion import Fusion
from mtkd_tasks.fusion_cache import FusionCache
from mtkd_tasks.recognize_boxes import recognize

CORNERS = ("x1", "y1", "x2", "y2")
OUTSIDE = 1e-4
"""Rounding tolerance: how far a box may extend outside its image, relative to the side."""


class Detection(Task, HasScores, MergesViews):
    """Learns labeled boxes, and the teachers' merged boxes weighted by their scores.

    In training mode a student returns a `mtkd_cli.interfaces.DetectorOutput`.

    Args:
        data: class names and labels.
        loss: label smoothing lowers the target score of labeled boxes.
        fusion: method to merge the teachers' boxes: ``wbf``, ``nms`` or ``soft-nms``.
        iou: overlap above which boxes of a class are the same object.
        least: minimum score of the teachers' boxes.
        merge_views: merge the boxes of a teacher over the recorded views of a sample.
    """

    primary = Metric("map", higher_is_better=True)
    spatial = True
    pictured_samples = 4
    by_element = False
    has_class_numbers = True
    precision = "fp32"
    columns: Columns

    def __init__(
        self,
        data: TaskData,
        loss: LossOptions,
        fusion: str = "wbf",
        iou: float = 0.55,
        least: float = 0.1,
        merge_views: bool = True,
    ) -> None:
        if loss.class_weights is not None:
            raise UsageError("detection has no class weights", "loss.class_weights", "leave it out")
        self.classes, self.outputs = data.classes, len(data.classes)
        self.columns = columns_of(self.outputs)
        self.label_score = 1 - loss.label_smoothing
        self.fusion = Fusion(fusion, iou, least)
        self.fusion_cache = FusionCache()
        self.merges_views = merge_views
        self.view_fusion, self.view_cache = Fusion("wbf", iou, box_views.FAINT), FusionCache()

    def to_task_shape(self, output: Any) -> Any:
        """Return boxes ``[B, 100, 6]``, best first; the output of a student in training is not changed."""
        if hasattr(output, "loss"):
            return output
        if isinstance(output, list | tuple) and all(isinstance(image, dict) for image in output):
            return boxes.from_lists(output)
        if not isinstance(output, Tensor):
            raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, boxes, 6)")
        if output.dim() != 3 or output.shape[2] != 6:
            raise ValueError(f"{tuple(output.shape)}; the task needs (samples, boxes, 6)")
        return boxes.best_first(output)

    def output_form(
        self,
        output: Any,
        declared: OutputLayout,
        size: int | tuple[int, int],
        classes: Sequence[str] | None,
    ) -> OutputForm | None:
        """Return how to read the outputs of YOLO and DETR models; None for forms of `to_task_shape`."""
        if hasattr(output, "loss") or (
            isinstance(output, list | tuple) and all(isinstance(image, dict) for image in output)
        ):
            return None
        return recognize(output, declared, size, classes)

    def align(self, outputs: Tensor, alignment: Alignment) -> Tensor:
        """Return boxes with the task's class numbers; boxes of other classes are removed.

        Raises:
            ValueError: a box has a class number without a name.
        """
        own = outputs[..., 5].nan_to_num(nan=-1).long()
        if alignment.named is not None:
            unnamed = own.masked_fill(outputs[..., 4] <= 0, -1).max() if own.numel() else own.new_tensor(-1)
            if unnamed >= alignment.named:
                raise ValueError(
                    f"a box has the class number {int(unnamed)}; "
                    f"its class names have the numbers 0 to {alignment.named - 1}"
                )
        # lookup table from the teacher's class numbers to the task's, -1: not a class of the task
        known = 1 + max((number for group in alignment.groups for number in group), default=-1)
        labels_of = torch.full((max(known, int(own.max()) + 1),), -1.0, device=outputs.device)
        for label, group in enumerate(alignment.groups):
            labels_of[list(group)] = label
        labels = torch.where(own >= 0, labels_of[own.clamp(min=0)], -1)
        renamed = torch.cat([outputs[..., :5], labels.unsqueeze(-1)], dim=-1)
        return torch.where(
            outputs.isnan().any(dim=-1, keepdim=True), outputs, boxes.without(renamed, labels < 0)
        )

    def class_numbers(self, output: Tensor) -> Tensor:
        """Return the class numbers of all boxes with a score, ``[n]``.

        Raises:
            ValueError: a class number that is negative or fractional, or boxes in pixels.
        """
        real = output[(output[..., 4] > 0) & output.isfinite().all(dim=-1) & (output[..., 5] != -1)]
        invalid = real[(real[:, 5] < 0) | (real[:, 5] % 1 != 0), 5]
        if len(invalid):
            raise ValueError(f"a box has the class number {invalid[0]:g}; class numbers are 0, 1, 2, ...")
        if len(real) and real[:, :4].max() > boxes.FARTHEST:
            raise ValueError("boxes in pixels; the task needs shares of the sides, from 0 to 1")
        return real[:, 5].long()

    def restrict_to_known(self, output: Tensor, known: Tensor) -> Tensor:
        """Return the boxes of known classes."""
        labels = output[..., 5].long()
        return boxes.without(output, (labels >= 0) & ~known[labels.clamp(min=0)])

    def predictions(self, output: Tensor, classes: Sequence[str]) -> list[Prediction]:
        """Return the boxes, best first."""
        found = []
        for image in output.tolist():
            real = [box for box in image if box[5] >= 0 and box[4] > 0]
            named = tuple((classes[int(label)], score, *corners) for *corners, score, label in real)
            found.append(Prediction({"boxes": len(named)}, boxes=named))
        return found

    def labeled(self, target: Tensor) -> Tensor:
        """Return which samples are labeled, ``[B]``; a labeled sample may have no boxes."""
        return torch.isfinite(target[..., 4]).any(dim=1)

    def find_invalid_label(self, targets: NDArray[Any]) -> tuple[int, str] | None:
        """Return the first sample with an invalid box and the reason, or None."""
        if targets.ndim != 3 or targets.shape[2] != 5:
            return 0, f"labels {targets.shape[1:]}; detection needs (boxes, 5): x1, y1, x2, y2, class number"
        hidden = np.isnan(targets).all(axis=(1, 2), keepdims=True)
        x1, y1, x2, y2, label = np.moveaxis(np.where(hidden, -1, targets), 2, 0)
        real = label != -1
        wrong = {
            "a box has NaN": np.isnan(targets).any(axis=2) & ~hidden[..., 0],
            f"a box has a class that is not 0 to {self.outputs - 1}": real
            & ((label < 0) | (label >= self.outputs) | (label % 1 != 0)),
            "a box has x2 <= x1 or y2 <= y1": real & ((x2 <= x1) | (y2 <= y1)),
            "a box extends outside the image": real
            & ((np.minimum(x1, y1) < -OUTSIDE) | (np.maximum(x2, y2) > 1 + OUTSIDE)),
        }
        for what, where in wrong.items():
            if where.any():
                sample, box = np.argwhere(where)[0]
                numbers = ", ".join(
                    f"{name} {value:.4g}" for name, value in zip(CORNERS, targets[sample, box], strict=False)
                )
                return int(sample), f"{what}: {numbers}, class {targets[sample, box, 4]:g}"
        return None

    def usage_mask(self, outputs: Sequence[Tensor], target: Tensor, known: Tensor | None) -> Tensor | None:
        """Return None: every teacher is used on every image, for the classes that it knows."""
        return None

    def remove_unknown_labels(self, target: Tensor, known: Tensor) -> Tensor:
        """Return the labeled boxes of known classes."""
        label = target[..., 4]
        removed = (label >= 0) & ~known[label.nan_to_num(nan=-1).clamp(min=0).long()]
        return torch.cat([target[..., :4], torch.where(removed, -1, label).unsqueeze(-1)], dim=-1)

    def to_frame(self, output: Tensor, placement: Placement) -> Tensor:
        """Return boxes relative to the original image, clipped to it; boxes outside it are removed."""
        if placement.fills_grid:
            return output
        moved = torch.cat([placement.boxes_to_frame(output[..., :4]), output[..., 4:]], dim=-1)
        return boxes.best_first(boxes.without(moved, boxes.area(moved) <= 0))

    def transform_labels(self, target: Tensor, affine: Tensor) -> Tensor:
        """Return the labeled boxes in a view, see `boxes.transform_boxes`."""
        return boxes.transform_boxes(target, affine)

    def merge_views(self, outputs: Sequence[Tensor], affines: Sequence[Tensor | None]) -> Tensor:
        """Return the boxes of a teacher on the original samples, ``[B, 100, 6]``, merged over views.

        The score of a merged box is its mean over the views that show it; a view without it counts as 0.
        """
        return box_views.merge(outputs, affines, self.view_cache, self.view_fusion, self.outputs)

    def transform_output(self, output: Tensor, affine: Tensor | None) -> Tensor:
        """Return boxes of original samples in a view, see `box_views.into_view`."""
        return box_views.into_view(output, affine)

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return minus the log of each teacher's similarity to the labels, ``[K, B]``; 0 without a label."""
        return torch.stack([self._distance(output, self._targets(target)) for output in outputs]).where(
            self.labeled(target), torch.zeros((), device=target.device)
        )

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the score-weighted mean entropy of each teacher's boxes, in bits, ``[K, B]``.

        No boxes: uncertainty is 1.
        """
        scores = torch.stack([boxes.best_first(output)[..., 4].float() for output in outputs])
        entropy = torch.special.entr(scores) + torch.special.entr(1 - scores)
        total = scores.sum(dim=2)
        bits = (scores * entropy).sum(dim=2) / total.clamp(min=1e-12) / np.log(2)
        return torch.where(total > 0, bits, 1).clamp(0, 1)

    def score_hits(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the score of each box, and whether it finds a labeled box, at an overlap of half."""
        found = self.columns.unpack(facts(output, target, self.outputs))
        is_box = found["score"] > 0
        return found["score"][is_box], (found["found"][is_box].long() & 1).bool()

    def map_scores(self, output: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return boxes with changed scores; empty rows keep the score 0."""
        scores = torch.where(output[..., 4] > 0, change(output[..., 4]), output[..., 4])
        return torch.cat([output[..., :4], scores.unsqueeze(-1), output[..., 5:]], dim=-1)

    def to_averageable(self, output: Tensor) -> Tensor:
        """Raise `UsageError`: the numbers of boxes cannot be averaged."""
        raise UsageError(
            "boxes cannot be averaged",
            where="strategy",
            hint="use a strategy that weighs teachers; mtkd list strategies --long shows what each needs",
        )

    def from_averageable(self, averaged: Tensor) -> Tensor:
        """Raise `UsageError`, like `to_averageable`."""
        return self.to_averageable(averaged)

    def mix(self, merged: Merged) -> Tensor:
        """Return the merged boxes, ``[B, 100, 6]``, from the cache if the same outputs were merged before."""
        if merged.weights is None:
            return self.to_averageable(merged.outputs[0])
        known = merged.known
        if known is None:
            known = torch.ones(len(merged.outputs), self.outputs, dtype=torch.bool)
        device = merged.outputs[0].device
        outputs = tuple(output.detach().cpu() for output in merged.outputs)
        return self.fusion_cache(self.fusion, outputs, merged.weights.detach().cpu(), known.cpu()).to(device)

    def kd_loss(self, student_output: Any, merged: Merged, temperature: float) -> Tensor:
        """Return the loss to the merged boxes, ``[B]``: the student's own in training, else the distance."""
        answer = self.mix(merged)
        target_classes = None
        if merged.known is not None and merged.weights is not None:
            target_classes = ((merged.weights > 0).T.unsqueeze(-1) & merged.known.to(answer.device)).any(
                dim=1
            )
        wanted = DetectionTargets(answer[..., :4], answer[..., 5].long(), answer[..., 4], target_classes)
        if isinstance(student_output, Tensor):
            return temperature**2 * self._distance(student_output, wanted)
        loss: Tensor = student_output.loss(wanted, temperature)
        return loss

    def task_loss(self, student_output: Any, target: Tensor) -> Tensor:
        """Return the loss to the labeled boxes, ``[B]``: the student's own in training, else the distance."""
        if isinstance(student_output, Tensor):
            loss = self._distance(student_output, self._targets(target))
        else:
            loss = student_output.loss(self._targets(target, self.label_score), 1.0)
        return torch.where(self.labeled(target), loss, 0)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the statistics for average precision, ``[B, 300 + C]``; NaN without labels."""
        found = facts(output, target, self.outputs)
        return found.masked_fill(~self.labeled(target)[:, None], torch.nan)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return mAP (mean over overlaps from 0.5 to 0.95), AP50 and AP75, over labeled classes."""
        precision = self._precision(statistics)
        precision = precision[~np.isnan(precision[:, 0])]
        if not len(precision):
            return {"map": 0.0, "ap50": 0.0, "ap75": 0.0}
        mean = precision.mean(axis=0)
        return {"map": float(mean.mean()), "ap50": float(mean[0]), "ap75": float(mean[5])}

    def details(self, statistics: Tensor) -> Details:
        """Return the average precision and the number of labeled boxes of each class."""
        precision = self._precision(statistics)
        box_counts = self.columns.unpack(statistics)["labeled"].nan_to_num().sum(dim=0)
        return Details(
            {"ap": tuple(precision.mean(axis=1).tolist()), "ap50": tuple(precision[:, 0].tolist())},
            counts=tuple(int(count) for count in box_counts),
        )

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image:
        """Return images with labeled boxes and the boxes of each model."""
        from mtkd_tasks.boxes_picture import picture

        return picture(inputs, answers, target, self.classes)

    def _precision(self, statistics: Tensor) -> NDArray[np.float64]:
        has_label = ~self.columns.unpack(statistics)["labeled"][:, 0].isnan()
        return average_precision(statistics[has_label], self.outputs)

    def _targets(self, target: Tensor, label_score: float = 1.0) -> DetectionTargets:
        """Return labeled boxes as targets with the score ``label_score``."""
        labels = target[..., 4].nan_to_num(nan=-1).long()
        return DetectionTargets(target[..., :4].nan_to_num(), labels, (labels >= 0) * label_score)

    def _distance(self, answer: Tensor, wanted: DetectionTargets) -> Tensor:
        """Return minus the log of the similarity, ``[B]``, for the classes in ``wanted.target_classes``."""
        if wanted.target_classes is not None:
            labels = answer[..., 5].long()
            outside_targets = ~wanted.target_classes.gather(1, labels.clamp(min=0)) & (labels >= 0)
            answer = boxes.without(answer, outside_targets)
        return -boxes.likeness(answer.float(), wanted.boxes, wanted.labels, wanted.scores.float()).log()
