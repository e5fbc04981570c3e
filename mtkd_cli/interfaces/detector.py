"""What a detector answers while it is trained, and what it is then to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Wanted:
    """Boxes that a detector is to answer: labelled ones, or the teachers' merged ones.

    Attributes:
        boxes: ``[B, M, 4]``: x1, y1, x2, y2 as shares of the sides.
        labels: ``[B, M]`` class numbers, -1 where there is no box.
        scores: ``[B, M]``, 0 to 1: how sure it is that the box is there; 1 for a label.
        spoken: ``[B, C]`` bool, the classes that are spoken about; None: all. Of the others nothing is
            wanted, not even that there is none.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    spoken: Tensor | None = None


class DetectorAnswer(Protocol):
    """What a detector answers in training mode; in eval mode it answers boxes ``[B, M, 6]``.

    How boxes are given to the places of a network is the network's own, so the loss is too.
    """

    def loss(self, wanted: Wanted, temperature: float) -> Tensor:
        """Return the loss of each sample, ``[B]``, times temperature squared where classes are soft."""
