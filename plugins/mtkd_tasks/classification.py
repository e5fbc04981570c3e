"""Classification: one class out of C per sample. Outputs are logits ``[B, C]``."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli.interfaces import Merged, Metric
from mtkd_cli.losses import cross_entropy, kl_divergence
from mtkd_cli.recipe import Loss

CALIBRATION_BINS = 15


class Classification:
    """Learns class probabilities.

    Args:
        classes: class names.
        loss: label smoothing and class weights of the task loss.
        targets: ``[N]`` training labels (-1: none), for balanced class weights.
    """

    primary = Metric("accuracy", higher_is_better=True)

    def __init__(self, classes: Sequence[str], loss: Loss, targets: NDArray[np.int64]) -> None:
        self.outputs = len(classes)
        self.label_smoothing = loss.label_smoothing
        self.class_weights = _class_weights(loss.class_weights, self.outputs, targets)

    def error(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Return each teacher's cross-entropy against the label, ``[K, B]``; 0 without a label."""
        return torch.stack([cross_entropy(output.float(), target) for output in outputs])

    def uncertainty(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return each teacher's entropy over log C, ``[K, B]``, 0 to 1."""
        probabilities = torch.stack([F.softmax(output.float(), dim=-1) for output in outputs])
        entropy: Tensor = torch.special.entr(probabilities).sum(dim=-1)
        return entropy / math.log(self.outputs)

    def mix(self, outputs: Sequence[Tensor], weights: Tensor) -> Tensor:
        """Return the log of the weighted mean of the teachers' probabilities, ``[B, C]``."""
        tiny = torch.finfo(torch.float32).tiny
        return self._mixture(outputs, weights, temperature=1.0).clamp(min=tiny).log()

    def kd_loss(self, student_output: Tensor, merged: Merged, temperature: float) -> Tensor:
        """Return ``T^2 KL(target || student)``, ``[B]``.

        The divergence to the mixture has the gradient of the weighted sum of the divergences
        to each teacher, at the cost of one.
        """
        if merged.combined is not None:
            target = F.softmax(merged.combined.float() / temperature, dim=-1)
        elif merged.weights is not None:
            target = self._mixture(merged.outputs, merged.weights, temperature)
        return kl_divergence(student_output.float(), target, temperature)

    def task_loss(self, student_output: Tensor, target: Tensor) -> Tensor:
        """Return the cross-entropy to the labels, ``[B]``; 0 where the label is -1."""
        weights = None if self.class_weights is None else self.class_weights.to(student_output.device)
        return cross_entropy(student_output.float(), target, weights, self.label_smoothing)

    def metrics(self, output: Tensor, target: Tensor) -> dict[str, float]:
        """Return accuracy, negative log-likelihood in nats, and calibration error (ECE, 15 bins)."""
        from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

        probabilities = F.softmax(output.float(), dim=-1)
        accuracy = multiclass_accuracy(
            probabilities, target, self.outputs, average="micro", validate_args=False
        )
        ece = multiclass_calibration_error(
            probabilities, target, self.outputs, n_bins=CALIBRATION_BINS, validate_args=False
        )
        return {
            "accuracy": accuracy.item(),
            "nll": F.cross_entropy(output.float(), target).item(),
            "ece": ece.item(),
        }

    def _mixture(self, outputs: Sequence[Tensor], weights: Tensor, temperature: float) -> Tensor:
        probabilities = torch.stack([F.softmax(output.float() / temperature, dim=-1) for output in outputs])
        return (weights[:, :, None] * probabilities).sum(dim=0)


def _class_weights(
    wanted: str | tuple[float, ...] | None, classes: int, targets: NDArray[np.int64]
) -> Tensor | None:
    """Return ``[C]`` weights of mean 1 over the labelled samples, or None."""
    if wanted is None:
        return None
    if isinstance(wanted, tuple):
        if len(wanted) != classes:
            from mtkd_cli.errors import UsageError

            raise UsageError(
                f"loss.class_weights has {len(wanted)} weights for {classes} classes",
                where="loss.class_weights",
                hint="give one weight a class, or balanced",
            )
        return torch.tensor(wanted)
    counts = np.bincount(targets[targets >= 0], minlength=classes)
    weights = counts.sum() / np.maximum(counts, 1) / max(1, np.count_nonzero(counts))
    return torch.tensor(weights, dtype=torch.float32)
