"""Small U-Nets (Ronneberger et al., arXiv 1505.04597), with level widths in the name: ``unet:8-16-32``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.sizes import sizes_in


class UNetProvider:
    """Two convolutions per level of the encoder, one per level of the decoder, with skip connections.

    The first level works at half the resolution and the last upsampling is a pixel shuffle. This costs a
    quarter of a net at full resolution.
    """

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained net with ``request.outputs`` classes."""
        net = UNet(request.channels, sizes_in(request.model, "unet", "8-16-32"), request.outputs)
        return Model(net, InputSpec(size=request.size, channels=request.channels), head="head")


class UNet(nn.Module):
    """Input ``[B, channels, H, W]``, output ``[B, outputs, H, W]``, for any H and W."""

    def __init__(self, channels: int, widths: list[int], outputs: int) -> None:
        super().__init__()
        first = widths[0]
        self.stem = convolution(channels, first, stride=2)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(before, after), convolution(after, after))
            for before, after in zip([first, *widths[:-1]], widths, strict=True)
        )
        pairs = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(convolution(below + skip, skip) for below, skip in pairs)
        self.fine = nn.Sequential(
            nn.Conv2d(first, 4 * first, 1, bias=False),
            nn.PixelShuffle(2),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(first, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        features, skips = self.stem(images), []
        for level, layers in enumerate(self.down):
            features = layers(F.max_pool2d(features, 2, ceil_mode=True) if level else features)
            skips.append(features)
        for layers, skip in zip(self.up, skips[-2::-1], strict=True):
            upsampled = F.interpolate(features, size=skip.shape[2:], mode="nearest")
            features = layers(torch.cat([upsampled, skip], dim=1))
        # the pixel shuffle may add one row and column for odd sizes
        logits: Tensor = self.head(self.fine(features))
        return logits[..., : images.shape[2], : images.shape[3]]


def convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
