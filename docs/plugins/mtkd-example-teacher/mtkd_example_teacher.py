"""Teachers for mtkd that detect edges: ``filters:8`` has eight orientations and one trained layer."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from mtkd_cli.errors import UsageError
from mtkd_cli.hookspecs import hookimpl
from mtkd_cli.specs import TeacherSpec

if TYPE_CHECKING:
    from torch import nn

    from mtkd_cli.interfaces import Model, ModelRequest

SIZE = 32
MAX_ORIENTATIONS = 64


@hookimpl
def mtkd_register_teachers() -> list[TeacherSpec]:
    """Describe the provider; mtkd builds a model only when a recipe names one."""
    return [
        TeacherSpec(
            "filters",
            "Oriented filters and a linear layer: filters:8 has eight orientations.",
            "mtkd_example_teacher:Filters",
            example="filters:8",
            trainable=True,
            requires=("torch",),
        )
    ]


class Filters:
    """Builds ``filters:N``."""

    def build(self, request: ModelRequest) -> Model:
        """Return a model of N fixed filters, their mean energy on a 4 x 4 grid, and a linear layer."""
        from mtkd_cli.interfaces import InputSpec, Model

        if not request.model.isdecimal() or not 0 < int(request.model) <= MAX_ORIENTATIONS:
            raise UsageError(
                f"no model {request.model!r}",
                where="filters",
                hint=f"write filters:N, N from 1 to {MAX_ORIENTATIONS}",
            )
        # Input: gray images of 32 x 32 pixels, values centered at 0; mtkd converts every view to that.
        spec = InputSpec(size=SIZE, mean=(0.5,), std=(0.5,), channels=1)
        return Model(_module(int(request.model), request.outputs), spec, head="linear", trained=False)


def _module(orientations: int, outputs: int) -> nn.Module:
    import torch
    from torch import nn

    offsets = torch.arange(-3.0, 4.0)
    y, x = torch.meshgrid(offsets, offsets, indexing="ij")
    bank = []
    for index in range(orientations):
        angle = math.pi * index / orientations
        wave = torch.cos(1.5 * (x * math.cos(angle) + y * math.sin(angle)))
        bell = torch.exp(-(x**2 + y**2) / 6)
        bank.append(wave * bell - (wave * bell).mean())
    convolution = nn.Conv2d(1, orientations, 7, padding=3, bias=False)
    convolution.weight = nn.Parameter(torch.stack(bank)[:, None], requires_grad=False)
    layers = {
        "filters": convolution,
        "energy": nn.ReLU(),
        "pool": nn.AdaptiveAvgPool2d(4),
        "flat": nn.Flatten(),
        "linear": nn.Linear(16 * orientations, outputs),
    }
    return nn.Sequential(OrderedDict(layers))
