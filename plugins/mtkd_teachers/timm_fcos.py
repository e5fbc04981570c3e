"""An FCOS detector on any feature extractor of timm: ``fcos:timm/resnet18``, ``fcos:timm/NAME@64-2``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mtkd_cli.errors import DataError, UsageError, first_line
from mtkd_cli.interfaces import InputSpec, Model, ModelRequest, sides
from mtkd_teachers.detectors import copy_matching_weights
from mtkd_teachers.sizes import sizes_in
from mtkd_teachers.timm import check_name, load_trained
from mtkd_teachers.tiny_fcos import GROUP, fcos_detector

LIBRARY = "timm/"
WIDTH, DEPTH = 64, 2
"""Default width and depth of the head."""

MIN_STRIDE, MIN_CELLS, MAX_LEVELS = 4, 4, 3
"""Finest level, minimum number of cells along the shorter side of a level, and maximum number of levels."""

SMALL_SIDE = 160
"""Side in pixels below which the class loss has no focus on hard points, because images have few points."""


class FcosProvider:
    """A feature pyramid on the levels of a timm model, with torchvision's FCOS on top."""

    def build(self, request: ModelRequest) -> Model:
        """Return a detector of ``request.outputs`` classes; with ``pretrained`` the extractor is trained."""
        where = f"fcos:{request.model}"
        named, _, sizes = request.model.partition("@")
        if not named.startswith(LIBRARY):
            raise UsageError(f"{named!r} names no library", where, "for example fcos:timm/resnet18")
        numbers = sizes_in(sizes or f"{WIDTH}-{DEPTH}", "fcos", "timm/resnet18@64-2")
        if len(numbers) > 2 or numbers[0] % GROUP:
            raise UsageError(
                f"invalid width and depth {sizes!r}", where, f"the width must be a multiple of {GROUP}: @64-2"
            )
        width, depth = numbers[0], numbers[1] if len(numbers) == 2 else DEPTH
        return _model(named.removeprefix(LIBRARY), width, depth, request)


def _model(name: str, width: int, depth: int, request: ModelRequest) -> Model:
    class_count = request.outputs + request.background
    where = f"fcos:{request.model}"
    extractor = _extractor(name, request)
    size = sides(request.size)
    chosen = choose_levels(vars(extractor)["feature_info"].reduction(), min(size))
    if not chosen:
        raise UsageError(
            f"{name} has no level with {MIN_CELLS} cells or more for images of {min(size)} pixels",
            where,
            f"use images of {MIN_STRIDE * MIN_CELLS} pixels or more, or another model",
        )
    backbone = TimmPyramid(extractor, chosen, width)
    try:
        with torch.no_grad():
            backbone.eval()(torch.zeros(1, request.channels, *size))
    except Exception as error:  # a model of timm may raise anything
        raise UsageError(
            f"{name} fails on images of {size[0]} x {size[1]}: {first_line(error)}",
            where,
            "set input.size to what it supports, or use another model",
        ) from error
    strides = [vars(extractor)["feature_info"].reduction()[level] for level in chosen]
    module = fcos_detector(backbone, width, depth, strides, class_count)
    module.focus = 0.0 if min(size) < SMALL_SIDE else 2.0

    def resized(outputs: int) -> Model:
        if outputs == class_count:
            return model
        untrained = replace(request, outputs=outputs, background=False, pretrained=False)
        other = _model(name, width, depth, untrained)
        copy_matching_weights(other.module, module)
        return replace(other, input=model.input, partly=model.partly)

    spec = InputSpec(size=request.size, channels=request.channels)
    if request.pretrained:
        own: dict[str, Any] = vars(extractor)["pretrained_cfg"]
        spec = replace(spec, channels=3, mean=tuple(own["mean"]), std=tuple(own["std"]))
    model = Model(
        module,
        spec,
        channels_last=False,
        partly=request.pretrained,
        resized=resized,
        outputs=class_count,
    )
    return model


def choose_levels(strides: Sequence[int], side: int) -> list[int]:
    """Return the indices of the levels to use, finest first: the coarsest three that are not too coarse.

    Args:
        strides: stride of each level in pixels; of equal ones, the last counts.
        side: shorter side of the images, in pixels.
    """
    last = {stride: index for index, stride in enumerate(strides)}
    usable = [s for s in sorted(last) if s >= MIN_STRIDE and side // s >= MIN_CELLS]
    return [last[stride] for stride in usable[-MAX_LEVELS:]]


def _extractor(name: str, request: ModelRequest) -> nn.Module:
    import timm

    check_name(name)
    if request.pretrained:
        return load_trained(name, features_only=True)
    try:
        module: nn.Module = timm.create_model(name, features_only=True, in_chans=request.channels)
    except Exception as error:  # models without feature maps raise various errors
        raise DataError(
            f"timm's {name} gives no feature maps: {first_line(error)}",
            f"fcos:{request.model}",
            "use a convolutional model, for example fcos:timm/resnet18",
        ) from error
    return module


class TimmPyramid(nn.Module):
    """Some levels of a timm model, merged from coarse to fine, each ``[B, width, h, w]``."""

    def __init__(self, extractor: nn.Module, levels: Sequence[int], width: int) -> None:
        from torchvision.ops import FeaturePyramidNetwork

        super().__init__()
        self.extractor, self.levels, self.out_channels = extractor, tuple(levels), width
        channels = vars(extractor)["feature_info"].channels()
        self.channels = [channels[level] for level in levels]
        self.pyramid = FeaturePyramidNetwork(self.channels, width)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the levels, finest first."""
        maps = self.extractor(images)
        chosen = OrderedDict()
        for level, channels in zip(self.levels, self.channels, strict=True):
            features = maps[level]  # some transformers return [B, h, w, channels]
            is_last = features.shape[1] != channels and features.shape[3] == channels
            chosen[f"level{level}"] = features.permute(0, 3, 1, 2) if is_last else features
        merged: OrderedDict[str, Tensor] = self.pyramid(chosen)
        return merged
