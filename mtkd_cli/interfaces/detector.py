"""Outputs of a detector in training mode, and the boxes that it should find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DetectionTargets:
    """Target boxes of a detector: labels, or the merged boxes of the teachers.

    Attributes:
        boxes: ``[B, M, 4]``: x1, y1, x2, y2 relative to the sides.
        labels: ``[B, M]`` class numbers, -1 for padding.
        scores: ``[B, M]``, probability of the box, 0 to 1; 1 for a label.
        target_classes: ``[B, C]`` bool, the classes with targets; None: all. The loss ignores the other
            classes, also their absence.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    target_classes: Tensor | None = None


class DetectorOutput(Protocol):
    """Output of a detector in training mode; in eval mode the output is boxes ``[B, M, 6]``.

    Networks assign boxes to their predictions in different ways, so each one has its own loss.
    """

    def loss(self, wanted: DetectionTargets, temperature: float) -> Tensor:
        """Return the loss per sample, ``[B]``, times temperature squared for soft classes."""
