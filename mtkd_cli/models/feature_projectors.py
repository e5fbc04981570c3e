"""Projectors from a student's features to each teacher's, used in training only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli import counter_rng
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import with_preprocessing


@dataclass(frozen=True)
class WithFeatures:
    """The output of a guided student in training.

    Attributes:
        output: the student's output.
        features: the student's features projected to each teacher's size, K of ``[B, D_k]``.
    """

    output: Any
    features: tuple[Tensor, ...]


class Guided(nn.Module):
    """A student with one projector per teacher; in eval mode, the student alone.

    Args:
        model: the student.
        sizes: number of features D_k of each teacher.
        example: views of one or two samples, ``[B, C, H, W]`` or ``[B, F]``.
        seed: seed of the projectors' initial weights.

    Raises:
        UsageError: the student has no single last layer.
    """

    def __init__(self, model: Model, sizes: Sequence[int], example: Tensor, seed: int) -> None:
        super().__init__()
        if not model.head:
            raise UsageError(
                "loss.features needs a student with a single last layer",
                where="loss.features",
                hint="remove loss.features, or choose another student",
            )
        self.student = with_preprocessing(model)
        self.head = f"module.{model.head}"
        with torch.no_grad():
            _, features = self._forward_with_features(example)
        counter_rng.seed_torch("projectors", seed)
        self.projectors = nn.ModuleList(nn.Linear(features.shape[1], size) for size in sizes)

    def forward(self, views: Tensor) -> Any:
        """Return the student's output, in training mode with its projected features."""
        if not self.training:
            return self.student(views)
        output, features = self._forward_with_features(views)
        return WithFeatures(output, tuple(projector(features) for projector in self.projectors))

    def _forward_with_features(self, views: Tensor) -> tuple[Any, Tensor]:
        """Return the student's output and the input of its last layer, ``[B, D]``."""
        captured: list[Tensor] = []
        head = self.student.get_submodule(self.head)
        hook = head.register_forward_pre_hook(lambda _, inputs: captured.append(average_positions(inputs[0])))
        try:
            output = self.student(views)
        finally:
            hook.remove()
        return output, captured[-1]


def average_positions(features: Tensor) -> Tensor:
    """Return features ``[B, D, *]`` averaged over all positions, ``[B, D]``."""
    return features.flatten(2).mean(dim=2) if features.dim() > 2 else features
