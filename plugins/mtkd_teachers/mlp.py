"""Fully connected nets, with the widths in the name: ``mlp:64-64``."""

from __future__ import annotations

import math

from torch import nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, sides
from mtkd_teachers.sizes import sizes_in


class MlpProvider:
    """One linear layer with ReLU per width, on the flattened input."""

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained net with ``request.outputs`` outputs."""
        before = request.channels * math.prod(sides(request.size))
        layers: list[nn.Module] = []
        for width in sizes_in(request.model, "mlp", "64-64"):
            layers += [nn.Linear(before, width), nn.ReLU(inplace=True)]
            before = width
        net = nn.Sequential()
        net.add_module("flatten", nn.Flatten())
        net.add_module("features", nn.Sequential(*layers))
        net.add_module("head", nn.Linear(before, request.outputs))
        return Model(net, InputSpec(size=request.size, channels=request.channels), head="head")
