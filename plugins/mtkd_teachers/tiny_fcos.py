"""A small FCOS for small images, with width and depth in the name: ``tiny-fcos:32`` or ``tiny-fcos:32-2``."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest
from mtkd_teachers.sizes import sizes_in

STRIDES = (4, 8)
GROUP = 8
"""Number of channels per group of the group normalization."""

INITIAL_REACH = 2.0
"""Initial distance from a point to the sides of its box, in strides; at 0 the ReLU has no gradient."""

MIN_SCORE = 0.05
"""Minimum score of predicted boxes."""


class TinyFcosProvider:
    """torchvision's FCOS with three convolutions and a pyramid of two levels, at strides 4 and 8."""

    def build(self, request: ModelRequest) -> Model:
        """Return an untrained detector of ``request.outputs`` classes."""
        sizes = sizes_in(request.model, "tiny-fcos", "32-2")
        if len(sizes) > 2 or sizes[0] % GROUP:
            raise UsageError(
                f"invalid width and depth {request.model!r}",
                where=f"tiny-fcos:{request.model}",
                hint=f"the width must be a multiple of {GROUP}; depth is that of the head: tiny-fcos:32-2",
            )
        return _model(sizes[0], sizes[1] if len(sizes) == 2 else 1, request)


def _model(width: int, depth: int, request: ModelRequest) -> Model:
    class_count = request.outputs + request.background
    module = fcos_detector(TinyPyramid(request.channels, width), width, depth, STRIDES, class_count)
    module.focus = 0.0  # small images have few negative points; a focus on hard ones slows down learning

    def resized(outputs: int) -> Model:
        from dataclasses import replace

        from mtkd_teachers.detectors import copy_matching_weights

        if outputs == class_count:
            return model
        other = _model(width, depth, replace(request, outputs=outputs, background=False))
        copy_matching_weights(other.module, module)
        return other

    model = Model(
        module,
        InputSpec(size=request.size, channels=request.channels),
        channels_last=False,
        resized=resized,
        outputs=class_count,
    )
    return model


def fcos_detector(backbone: nn.Module, width: int, depth: int, strides: Sequence[int], outputs: int) -> Any:
    """Return an untrained `FcosDetector` with group normalization in its head.

    Args:
        backbone: returns feature maps ``[B, width, h, w]`` by name, finest first.
        width: channels of the feature maps and the head, a multiple of `GROUP`.
        depth: number of convolutions of each branch of the head.
        strides: stride of each feature map, in pixels.
        outputs: number of classes.
    """
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.fcos import FCOSClassificationHead, FCOSHead, FCOSRegressionHead

    from mtkd_teachers.detectors import FcosDetector

    norm = partial(nn.GroupNorm, width // GROUP)
    head = FCOSHead(width, 1, outputs, num_convs=0)
    head.classification_head = FCOSClassificationHead(width, 1, outputs, depth, norm_layer=norm)
    head.regression_head = FCOSRegressionHead(width, 1, depth, norm_layer=norm)
    for layer in (*head.classification_head.conv, *head.regression_head.conv):
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.constant_(head.regression_head.bbox_reg.bias, INITIAL_REACH)
    return FcosDetector(
        backbone,
        outputs,
        head=head,
        anchor_generator=AnchorGenerator(tuple((stride,) for stride in strides), ((1.0,),) * len(strides)),
        score_thresh=MIN_SCORE,
    )


class TinyPyramid(nn.Module):
    """Features at strides 4 and 8 of ``[B, channels, H, W]``, each ``[B, width, h, w]``."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.out_channels = width
        widths = (channels, max(GROUP, width // 2), width, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(max(1, after // GROUP), after),
                nn.ReLU(inplace=True),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.lateral = nn.Conv2d(width, width, 1)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the levels, finest first."""
        half = self.blocks[0](images)
        fine = self.blocks[1](half)
        coarse = self.blocks[2](fine)
        merged = self.lateral(fine) + F.interpolate(coarse, size=fine.shape[-2:], mode="nearest")
        return OrderedDict(fine=merged, coarse=coarse)
