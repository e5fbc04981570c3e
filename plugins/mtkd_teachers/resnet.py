"""Residual nets for small images (He et al., CVPR 2016, section 4.2), depth and width: ``resnet:20-16``."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.sizes import sizes_in

MIN_CHANNELS_LAST = 8
"""Minimum width for channels_last; below it, oneDNN's strided backward overruns memory (torch 2.14)."""


class ResNetProvider:
    """Three stages of n basic blocks, depth = 6n + 2; widths w, 2w, 4w."""

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained net with ``request.outputs`` outputs."""
        sizes = sizes_in(request.model, "resnet", "20-16")
        if len(sizes) != 2 or sizes[0] < 8 or (sizes[0] - 2) % 6:
            raise UsageError(
                f"invalid depth and width {request.model!r}",
                where=f"resnet:{request.model}",
                hint="the depth must be 6n + 2 (8, 14, 20, 32, 56), for example resnet:20-16",
            )
        net = SmallResNet(sizes[0], sizes[1], request.channels, request.outputs)
        spec = InputSpec(size=request.size, channels=request.channels)
        return Model(net, spec, head="head", channels_last=sizes[1] >= MIN_CHANNELS_LAST)


class SmallResNet(nn.Module):
    """Input ``[B, channels, H, W]``, output ``[B, outputs]``."""

    def __init__(self, depth: int, width: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        blocks: list[nn.Module] = []
        before = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                after = width * 2**stage
                blocks.append(BasicBlock(before, after, stride=2 if stage and not block else 1))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        features = self.blocks(F.relu(self.norm(self.stem(images)), inplace=True))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut; a 1 x 1 convolution if the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return ``[B, after, H / stride, W / stride]``."""
        inner = F.relu(self.norm1(self.conv1(features)), inplace=True)
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(features), inplace=True)
