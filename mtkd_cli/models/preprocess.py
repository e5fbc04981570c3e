"""Prepare a view for one model: channels, size, normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, Model
from mtkd_cli.recipe.schema import Input

_LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601, as PIL's ``convert("L")``."""


def complete(spec: InputSpec, wanted: Input, data: InputSpec) -> InputSpec:
    """Return the model's input: the recipe's keys over the model's own, gaps filled from the data.

    Another range than the model's own makes its own mean and deviation void.
    """
    given = {key: value for key, value in wanted.model_dump().items() if value is not None}
    if "range" in given:
        spec = replace(spec, mean=(0.0,), std=(1.0,))
    spec = replace(spec, **given)
    if data.columns:
        return _of_table(spec, data)
    channels = spec.channels or data.channels or 3
    step = -1 if spec.order == "bgr" else 1
    return replace(
        spec,
        size=spec.size or data.size,
        channels=channels,
        mean=_per_channel(spec.mean or data.mean[::step], channels),
        std=_per_channel(spec.std or data.std[::step], channels),
    )


def _of_table(spec: InputSpec, data: InputSpec) -> InputSpec:
    mean, std = spec.mean or data.mean, spec.std or data.std
    for values in (mean, std):
        if len(values) != len(data.columns):
            raise UsageError(
                f"{len(values)} values for {len(data.columns)} columns",
                where="input",
                hint="give mean: and std: per column of the table; 0 and 1 for a category",
            )
    return replace(spec, size=1, channels=data.channels, mean=mean, std=std, columns=data.columns)


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return values
    if len(values) not in (1, 3):
        raise UsageError(
            f"{len(values)} values for {channels} channels",
            where="input",
            hint="give mean: and std: per channel",
        )
    return (sum(values) / len(values),) * channels


def prepare(views: Tensor, spec: InputSpec) -> Tensor:
    """Return views ``[B, C, H, W]`` (0 to 1) as the model's input ``[B, C', S, S]``; or a table's rows."""
    if views.dim() == 2:
        return views if spec.raw else _numbers(views, spec)
    pixels = _with_channels(views, spec.channels or views.shape[1])
    size = spec.size or views.shape[-1]
    whole = math.floor(size / spec.crop + 1e-6)
    if pixels.shape[-1] != whole or pixels.shape[-2] != whole:
        nearest = spec.interpolation == "nearest"
        pixels = F.interpolate(
            pixels,
            size=(whole, whole),
            mode=spec.interpolation,
            antialias=not nearest,
            align_corners=None if nearest else False,
        )
        if spec.interpolation == "bicubic":
            pixels = pixels.clamp(0, 1)
    if whole != size:
        start = round((whole - size) / 2)
        pixels = pixels[..., start : start + size, start : start + size]
    if spec.order == "bgr" and pixels.shape[1] == 3:
        pixels = pixels.flip(1)
    low, high = spec.range
    if (low, high) != (0.0, 1.0):
        pixels = pixels * (high - low) + low
    mean = torch.tensor(spec.mean, device=pixels.device).view(-1, 1, 1)
    std = torch.tensor(spec.std, device=pixels.device).view(-1, 1, 1)
    return (pixels - mean) / std


def _numbers(rows: Tensor, spec: InputSpec) -> Tensor:
    """Return a table's rows ``[B, F]`` as float32 numbers ``[B, F']``, see `InputSpec.columns`."""
    mean, std = (_double(values, rows) for values in (spec.mean, spec.std))
    normalised = ((rows.double() - mean) / std).float().nan_to_num(nan=0.0)
    if not any(column.categories for column in spec.columns):
        return normalised
    parts = []
    for place, column in enumerate(spec.columns):
        names = torch.arange(len(column.categories), device=rows.device)
        is_it = (rows[:, place, None] == names).float()
        parts.append(is_it if column.categories else normalised[:, place, None])
    return torch.cat(parts, dim=1)


def _double(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)


def _with_channels(views: Tensor, channels: int) -> Tensor:
    if views.shape[1] == channels:
        return views
    if channels == 3:
        return views.expand(-1, 3, -1, -1)
    weights = torch.tensor(_LUMA, device=views.device).view(1, 3, 1, 1)
    return (views * weights).sum(dim=1, keepdim=True)


class Prepared(nn.Module):
    """A module behind its own preprocessing: views in, outputs in the task's form out.

    Args:
        module: prepared views to raw outputs.
        spec: how it wants its views.
        scale: see `Model.scale`.
        shaped: see `Task.shaped`.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: InputSpec,
        scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
        shaped: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.spec = spec
        self.scale = scale
        self.shaped = shaped

    def forward(self, views: Tensor) -> Any:
        """Return the module's outputs on ``[B, C, H, W]`` views (0 to 1), or on ``[B, F]``."""
        return self.finished(self.module(prepare(views, self.spec)))

    def finished(self, output: Any) -> Any:
        """Return what the module answered in the task's form; by a scale in the target's units, float64."""
        if self.scale is not None:
            mean, deviation = (_double(values, output) for values in self.scale)
            output = output.double() * deviation + mean
        return output if self.shaped is None else self.shaped(output)


def prepared(model: Model) -> Prepared:
    """Return the model behind its own preprocessing."""
    module = model.module.to(memory_format=torch.channels_last) if model.channels_last else model.module
    return Prepared(module, model.input, model.scale, model.shaped)
