"""Small U-Nets (Ronneberger et al., arXiv 1505.04597), widths of the levels in the name: ``unet:8-16-32``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.sizes import sizes_in


class UNetProvider:
    """One block a level on the way down and one on the way up, beside it the features of the way down."""

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained net with ``request.outputs`` classes."""
        net = UNet(request.channels, sizes_in(request.model, "unet", "8-16-32"), request.outputs)
        return Model(net, InputSpec(size=request.size, channels=request.channels), head="head")


class UNet(nn.Module):
    """Input ``[B, channels, H, W]``, output ``[B, outputs, H, W]``; any H and W."""

    def __init__(self, channels: int, widths: list[int], outputs: int) -> None:
        super().__init__()
        before = [channels, *widths[:-1]]
        self.down = nn.ModuleList(block(*pair) for pair in zip(before, widths, strict=True))
        pairs = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(block(below + beside, beside) for below, beside in pairs)
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        features, beside = images, []
        for level, layers in enumerate(self.down):
            features = layers(F.max_pool2d(features, 2, ceil_mode=True) if level else features)
            beside.append(features)
        for layers, skipped in zip(self.up, beside[-2::-1], strict=True):
            raised = F.interpolate(features, size=skipped.shape[2:], mode="nearest")
            features = layers(torch.cat([raised, skipped], dim=1))
        logits: Tensor = self.head(features)
        return logits


def block(before: int, after: int) -> nn.Sequential:
    """Return two 3 x 3 convolutions, each with batch norm and ReLU."""
    layers: list[nn.Module] = []
    for width in (before, after):
        layers += [
            nn.Conv2d(width, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
