"""Classification: one class out of C per sample. Outputs are logits ``[B, C]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from mtkd_cli.interfaces import Columns, Details, LossOptions, Merged, Metric, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_cli.interfaces.missing_labels import label_mask
from mtkd_cli.losses import cross_entropy, loss_to_teachers, registered_loss, standardized
from mtkd_tasks.calibration_error import calibrated_error, calibration_error
from mtkd_tasks.grid import Words, grid, image_of
from mtkd_tasks.softmax_task import OverClasses

RELIABILITY_BINS = 15


class Classification(OverClasses):
    """Learns class probabilities.

    Args:
        data: class names, and labels for balanced class weights.
        loss: label smoothing of the task loss; class weights of both losses.
        kd: name of the distillation loss.
        standardize: whether to standardize the logits of student and teachers (arXiv 2403.01427), if their
            scales differ.
        loss_options: options of the registered losses, by their keys in a recipe.
    """

    primary = Metric("accuracy", higher_is_better=True, mean_of=0)
    class_score = "precision"
    columns: Columns = Columns(("right", "nll", "confidence", "answer", "label"))

    def __init__(
        self,
        data: TaskData,
        loss: LossOptions,
        kd: str = "kl",
        standardize: bool = False,
        **loss_options: Any,
    ) -> None:
        super().__init__(data, loss)
        self.kd, self.standardize = registered_loss(kd, "classification", loss_options), standardize
        self.any_label_space = self.kd.any_label_space and not standardize
        self.needs_probabilities_only = not (self.kd.needs_every_logit or standardize)

    def to_task_shape(self, output: Any) -> Tensor:
        """Return logits ``[B, C]``."""
        if not isinstance(output, Tensor):
            raise ValueError(f"a {type(output).__name__}; the task needs a tensor (samples, classes)")
        if output.dim() != 2:
            raise ValueError(f"{tuple(output.shape)}; the task needs (samples, classes)")
        return output

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return the distillation loss of the recipe, ``[B]``, times temperature squared.

        Class weights are applied to the teachers first, so they have the same effect in every loss.
        """
        merged, counts = self.apply_class_weights(merged)
        student = student_output.float()
        if self.standardize:
            student = standardized(student)
            outputs = tuple(standardized(output.float()) for output in merged.outputs)
            combined = None if merged.combined is None else standardized(merged.combined.float())
            merged = replace(merged, outputs=outputs, combined=combined)
        return counts * loss_to_teachers(self.kd, student, merged, temperature)

    def statistics(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the `columns` of each sample, ``[B, 5]``.

        All NaN for unlabeled samples. The nll is infinite for a class that a teacher does not know.
        """
        probabilities, nll = self.to_averageable(output), cross_entropy(output.float(), target)
        unknown = output.gather(1, target.clamp(min=0).long()[:, None])[:, 0] == UNKNOWN
        nll = nll.masked_fill(unknown, math.inf)
        confidence, answer = probabilities.max(dim=1)
        right = (answer == target).float()
        found = self.columns.pack(right=right, nll=nll, confidence=confidence, answer=answer, label=target)
        return found.masked_fill(~label_mask(target)[:, None], math.nan)

    def metrics(self, statistics: Tensor) -> dict[str, float]:
        """Return accuracy, negative log-likelihood in nats, and calibration error (ECE sweep)."""
        found = self._measure(statistics)
        right, confidence = found["right"], found["confidence"]
        return {
            "accuracy": right.mean().item(),
            "nll": found["nll"].mean().item(),
            "ece": calibration_error(confidence.numpy(), right.numpy()),
        }

    def details(self, statistics: Tensor) -> Details:
        """Return recall and precision of each class, confusions, reliability, and the ECE by chance."""
        found = self._measure(statistics)
        right, confidence = found["right"], found["confidence"]
        pairs = found["label"].long() * self.outputs + found["answer"].long()  # one number per pair
        confusion = torch.bincount(pairs, minlength=self.outputs**2).view(self.outputs, self.outputs)
        hits = confusion.diagonal()
        bins = torch.stack([torch.ones_like(right), right, confidence], dim=1)
        sums = torch.zeros(RELIABILITY_BINS, 3, dtype=torch.float64).index_add(0, _bins(confidence), bins)
        return Details(
            per_class={
                "recall": tuple((hits / confusion.sum(dim=1)).tolist()),
                "precision": tuple((hits / confusion.sum(dim=0)).tolist()),
            },
            confusion=tuple(map(tuple, confusion.tolist())),
            reliability=tuple((c / n, r / n, int(n)) for n, r, c in sums.tolist() if n),
            by_chance={"ece": calibrated_error(confidence.numpy())},
        )

    def _measure(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return the columns of the labeled samples, in float64."""
        has_label = ~self.columns.unpack(statistics)["right"].isnan()
        return self.columns.unpack(statistics[has_label].double())

    def picture(self, inputs: NDArray[Any], answers: Mapping[str, Tensor], target: Tensor) -> Image | None:
        """Return images with their labels and the predicted class of each model, right or wrong."""
        if inputs.ndim != 4:
            return None
        columns = [[image_of(pixels) for pixels in inputs], [Words(self.classes[t]) for t in target.tolist()]]
        for output in answers.values():
            found = output.argmax(dim=1).tolist()
            pairs = zip(found, target.tolist(), strict=True)
            columns.append([Words(self.classes[answer], answer == label) for answer, label in pairs])
        return grid(["image", "label", *answers], list(zip(*columns, strict=True)))


def _bins(confidence: Tensor) -> Tensor:
    """Return the index of the calibration bin of each confidence; bins have equal width from 0 to 1."""
    return (confidence * RELIABILITY_BINS).ceil().clamp(1, RELIABILITY_BINS).long() - 1
