"""What a task may implement besides `Task`: scores that can be calibrated, and outputs merged over views."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class HasScores(ABC):
    """A task whose outputs are answers with a score from 0 to 1, such as boxes.

    ``calibrate`` turns the scores into probabilities that the answer is right.
    """

    @abstractmethod
    def score_hits(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the score of each answer in a batch, and whether the answer is right, ``[n]`` each."""

    @abstractmethod
    def map_scores(self, output: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """Return an output whose scores are changed by an increasing function, elementwise."""


class MergesViews(ABC):
    """A task that can merge a teacher's outputs over the recorded views of a sample.

    Not used for views that are crops, rotated or mixed.

    Attributes:
        merges_views: whether they are merged.
    """

    merges_views: bool = True

    @abstractmethod
    def merge_views(self, outputs: Sequence[Tensor], affines: Sequence[Tensor | None]) -> Tensor:
        """Return a teacher's output on the original samples, from its outputs on V views of them.

        Args:
            outputs: V of ``[B, C, *]``.
            affines: for each view ``[B, 2, 3]``, see `Task.transform_labels`; None: the view is the sample.
        """

    @abstractmethod
    def transform_output(self, output: Tensor, affine: Tensor | None) -> Tensor:
        """Return an output on the original samples in a view; see `merge_views`."""
