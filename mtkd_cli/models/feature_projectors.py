"""A student that learns teachers' features too: one projector for each teacher, dropped after training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli import counter_rng
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import Model
from mtkd_cli.models.preprocess import prepared


@dataclass(frozen=True)
class WithFeatures:
    """What a guided student answers while it is trained.

    Attributes:
        output: as without features.
        features: the student's, brought to each teacher's size, K of ``[B, D_k]``.
    """

    output: Any
    features: tuple[Tensor, ...]


class Guided(nn.Module):
    """A student and its projectors; in eval mode it answers as the student does.

    Args:
        model: the student.
        sizes: numbers of each teacher's features.
        example: views of a sample or two.
        seed: of the projectors' initial weights.

    Raises:
        UsageError: the student has no last layer whose input could be guided.
    """

    def __init__(self, model: Model, sizes: Sequence[int], example: Tensor, seed: int) -> None:
        super().__init__()
        if not model.head:
            raise UsageError(
                "the student has no last layer whose input could be guided",
                where="loss.features",
                hint="leave loss.features out, or choose another student",
            )
        self.student = prepared(model)
        self.head = f"module.{model.head}"
        with torch.no_grad():
            _, seen = self._seen(example)
        counter_rng.seed_torch("projectors", seed)
        self.projectors = nn.ModuleList(nn.Linear(seen.shape[1], size) for size in sizes)

    def forward(self, views: Tensor) -> Any:
        """Return the student's output; while training, with its projected features."""
        if not self.training:
            return self.student(views)
        output, seen = self._seen(views)
        return WithFeatures(output, tuple(projector(seen) for projector in self.projectors))

    def _seen(self, views: Tensor) -> tuple[Any, Tensor]:
        """Return the student's output and what reached its last layer."""
        seen: list[Tensor] = []
        head = self.student.get_submodule(self.head)
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(pooled(inputs[0])))
        try:
            output = self.student(views)
        finally:
            hook.remove()
        return output, seen[-1]


def pooled(features: Tensor) -> Tensor:
    """Return features ``[B, D, *]`` averaged over places, ``[B, D]``."""
    return features.flatten(2).mean(dim=2) if features.dim() > 2 else features
