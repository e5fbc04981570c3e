"""Semantic segmentation: one class per pixel. Outputs are logits ``[B, C, H, W]`` on the data's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from mtkd_cli.interfaces import Columns, Details, LossOptions, Merged, Metric, Placement, TaskData, sides
from mtkd_cli.losses import loss_to_teachers, registered_loss
from mtkd_cli.reading.class_colors import NO_LABEL, class_color, mask_image
from mtkd_tasks.grid import image_of
from mtkd_tasks.panels import enlarged, panels
from mtkd_tasks.softmax_task import OverClasses

TOP_K = 4
"""Number of classes recorded per pixel."""


class Segmentation(OverClasses):
    """Learns the class probabilities of each pixel.

    A pixel with the label -1 does not count in the task loss and the metrics, but in the distillation loss.

    Args:
        data: class names, labels, and the side of the grid.
        loss: label smoothing, and class weights of both losses. With a loss that compares whole maps they
            weigh the classes, because the constant that `apply_class_weights` adds to a class map has no
            effect there.
        kd: name of the distillation loss.
        loss_options: options of the registered losses, by their keys in a recipe.
    """

    primary = Metric("miou", higher_is_better=True)
    class_score = "iou"
    spatial = True
    pictured_samples = 4

    columns: Columns

    def __init__(self, data: TaskData, loss: LossOptions, kd: str = "kl", **loss_options: Any) -> None:
        super().__init__(data, loss)
        self.kd = registered_loss(kd, "segmentation", loss_options)
        self.any_label_space, self.needs_probabilities_only = (
            self.kd.any_label_space,
            not self.kd.needs_every_logit,
        )
        self.top_k = TOP_K if self.needs_probabilities_only else None
        self.elements = sides(data.input.size or 1)
        self.columns = Columns(wide=dict.fromkeys(("right", "answered", "labeled"), self.outputs))

    def to_task_shape(self, output: Any) -> Tensor:
        """Return logits ``[B, C, H, W]``, resized to the grid; one foreground logit becomes two classes."""
        if isinstance(output, Mapping):
            output = output.get("out", output.get("logits"))
        if not isinstance(output, Tensor):
            raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, classes, H, W)")
        if output.dim() != 4:
            raise ValueError(f"{tuple(output.shape)}; the task needs (samples, classes, height, width)")
        if output.shape[1] == 1 and self.outputs == 2:  # sigmoid(z) = softmax(0, z)
            output = torch.cat([torch.zeros_like(output), output], dim=1)
        logits: Tensor = output
        if logits.shape[2:] != self.elements:
            logits = F.interpolate(logits, size=self.elements, mode="bilinear", align_corners=False)
        return logits

    def transform_labels(self, target: Tensor, affine: Tensor) -> Tensor:
        """Return masks in a view, by nearest-neighbor sampling."""
        masks = target[:, None].float()
        positions = F.affine_grid(affine.float(), list(masks.shape), align_corners=False)
        moved = F.grid_sample(masks, positions, mode="nearest", padding_mode="border", align_corners=False)
        return moved[:, 0].to(target.dtype)

    def can_mix(self, kind: str) -> bool:
        """Return True: each pixel has its own share."""
        return True

    def to_frame(self, output: Tensor, placement: Placement) -> Tensor:
        """Return logits on the original image, ``[B, C, H, W]``: without padding, resized bilinearly."""
        return placement.maps_to_frame(output.float())

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the distillation loss of the recipe, ``[B, H, W]``, times temperature squared."""
        student = student_output.float()
        if self.kd.whole_maps:
            loss = self._whole_map_loss(student, merged, temperature)  # [B]
            return loss.view(-1, 1, 1).expand(-1, *self.elements)
        merged, counts = self.apply_class_weights(merged)
        return counts * loss_to_teachers(self.kd, student, merged, temperature)

    def _whole_map_loss(self, student: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the mean over classes of a loss between maps, ``[B]``.

        It compares whole maps, so the weight of a teacher is the mean of its weights over the pixels.
        """
        classes = student.new_ones(self.outputs)
        if self.class_weights is not None:
            classes = self.class_weights.to(student.device)
        if merged.combined is not None:
            each = self.kd.distance(student, merged.combined.float(), temperature)
            return (each * classes).mean(dim=1)
        if merged.weights is None:
            raise ValueError("neither weights nor a combined output")
        loss = student.new_zeros(len(student))
        for number, (output, weight) in enumerate(zip(merged.outputs, merged.weights, strict=True)):
            usage_mask = classes if merged.known is None else classes * merged.known[number].to(classes)
            each = self.kd.distance(student, output.float(), temperature)  # [B, C]
            loss = loss + weight.mean(dim=(1, 2)) * (each * usage_mask).mean(dim=1)
        return loss

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the numbers of correct, predicted and labeled pixels of each class, ``[B, 3 C]``."""
        has_label = self.labeled(target)
        answer, label = output.argmax(dim=1), target.long()
        right = has_label & (answer == label)
        return self.columns.pack(
            right=self._count(answer, right),
            answered=self._count(answer, has_label),
            labeled=self._count(label.clamp(min=0), has_label),
        )

    def _count(self, values: Tensor, where: Tensor) -> Tensor:
        """Return the number of pixels of each class in each map where ``where`` is True, ``[B, C]``."""
        empty = torch.zeros(len(values), self.outputs, dtype=torch.float64, device=values.device)
        return empty.scatter_add(1, values.flatten(1), where.flatten(1).double())

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return mean IoU over the classes that are labeled or predicted, and pixel accuracy."""
        counts, iou = self._counts(statistics), self._iou(statistics)
        accuracy = counts["right"].sum() / counts["labeled"].sum().clamp(min=1)
        return {"miou": iou.nanmean().nan_to_num().item(), "pixel_accuracy": accuracy.item()}

    def details(self, statistics: Tensor) -> Details:
        """Return IoU and recall of each class; NaN for classes that are neither labeled nor predicted."""
        counts, iou = self._counts(statistics), self._iou(statistics)
        recall = counts["right"] / counts["labeled"]
        return Details(per_class={"iou": tuple(iou.tolist()), "recall": tuple(recall.tolist())})

    def _counts(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return the pixels of all samples by column, ``[C]`` each."""
        return {name: each.double().sum(dim=0) for name, each in self.columns.unpack(statistics).items()}

    def _iou(self, statistics: Tensor) -> Tensor:
        counts = self._counts(statistics)
        return counts["right"] / (counts["answered"] + counts["labeled"] - counts["right"])

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return images with their masks and the masks of each model, and a legend of the classes in them."""
        masks = [target.cpu(), *(output.argmax(dim=1).cpu() for output in answers.values())]
        columns = [[enlarged(image_of(pixels)) for pixels in inputs]]
        columns += [[enlarged(mask_image(mask)) for mask in each.numpy()] for each in masks]
        shown = {int(number) for each in masks for number in np.unique(each.numpy())}
        colors = {self.classes[number]: class_color(number) for number in sorted(shown) if number >= 0}
        if any(number < 0 for number in shown):
            colors["no label"] = NO_LABEL
        return panels(["image", "label", *answers], list(zip(*columns, strict=True)), colors)
