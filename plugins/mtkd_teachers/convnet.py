"""Plain convolutional nets for small images, with the widths in the name: ``convnet:8-16-32``."""

from __future__ import annotations

from torch import nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, sides
from mtkd_teachers.sizes import sizes_in

SMALLEST_SIDE = 4


class ConvNetProvider:
    """One block (3 x 3 convolution, batch norm, ReLU) per width; each halves the image, down to 4 pixels."""

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained net with ``request.outputs`` outputs."""
        widths = sizes_in(request.model, "convnet", "8-16-32")
        blocks: list[nn.Module] = []
        before, side = request.channels, min(sides(request.size))
        for width in widths:
            blocks += [
                nn.Conv2d(before, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            if side // 2 >= SMALLEST_SIDE:
                blocks.append(nn.MaxPool2d(2))
                side //= 2
            before = width
        net = nn.Sequential()
        net.add_module("features", nn.Sequential(*blocks))
        net.add_module("pool", nn.AdaptiveAvgPool2d(1))
        net.add_module("flatten", nn.Flatten())
        net.add_module("head", nn.Linear(before, request.outputs))
        return Model(net, InputSpec(size=request.size, channels=request.channels), head="head")
