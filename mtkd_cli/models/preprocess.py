"""Preprocess a view for one model: channels, size and normalization."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, Model, sides
from mtkd_cli.recipe.schema import Input

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601), as in PIL's ``convert("L")``."""


def complete_input(spec: InputSpec, wanted: Input, data: InputSpec) -> InputSpec:
    """Return the full input specification: the recipe's keys, then the model's, then the data's.

    If the recipe sets ``range``, the model's own mean and deviation are replaced by 0 and 1.

    Args:
        spec: the model's own input, possibly incomplete.
        wanted: the recipe's ``input`` of the model.
        data: input of the data.

    Raises:
        UsageError: the number of means or deviations does not match the channels or columns.
    """
    given = {key: value for key, value in wanted.model_dump().items() if value is not None}
    if "range" in given:
        spec = replace(spec, mean=(0.0,), std=(1.0,))
    spec = replace(spec, **given)
    if data.columns:
        return _complete_table(spec, data)
    channels = spec.channels or data.channels or 3
    step = -1 if spec.order == "bgr" else 1
    return replace(
        spec,
        size=spec.size or data.size,
        channels=channels,
        mean=_per_channel(spec.mean or data.mean[::step], channels),
        std=_per_channel(spec.std or data.std[::step], channels),
    )


def _complete_table(spec: InputSpec, data: InputSpec) -> InputSpec:
    mean, std = spec.mean or data.mean, spec.std or data.std
    for values in (mean, std):
        if len(values) != len(data.columns):
            raise UsageError(
                f"{len(values)} values for {len(data.columns)} columns",
                where="input",
                hint="set mean: and std: for each column of the table, 0 and 1 for categories",
            )
    return replace(spec, size=1, channels=data.channels, mean=mean, std=std, columns=data.columns)


def _per_channel(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) == channels:
        return values
    if len(values) not in (1, 3):
        raise UsageError(
            f"{len(values)} values for {channels} channels",
            where="input",
            hint="set mean: and std: for each channel",
        )
    return (sum(values) / len(values),) * channels


def prepare(views: Tensor, spec: InputSpec) -> Tensor:
    """Return the model's input for some views.

    Args:
        views: ``[B, C, H, W]`` with values from 0 to 1, or rows of a table ``[B, F]``.
        spec: the model's complete input.

    Returns:
        ``[B, C', H, W]``, or ``[B, F']``.
    """
    if views.dim() == 2:
        return views if spec.raw else _encode_columns(views, spec)
    pixels = _with_channels(views, spec.channels or views.shape[1])  # [B, C', H, W]
    size = sides(spec.size or (views.shape[2], views.shape[3]))
    # Resize to R, so that the center crop of the share ``spec.crop`` has the size (H, W).
    resized = [math.floor(side / spec.crop + 1e-6) for side in size]
    if list(pixels.shape[2:]) != resized:
        nearest = spec.interpolation == "nearest"
        pixels = F.interpolate(
            pixels,
            size=resized,
            mode=spec.interpolation,
            antialias=not nearest,
            align_corners=None if nearest else False,
        )
        if spec.interpolation == "bicubic":
            pixels = pixels.clamp(0, 1)
    if resized != list(size):
        top, left = (round((whole - side) / 2) for whole, side in zip(resized, size, strict=True))
        pixels = pixels[..., top : top + size[0], left : left + size[1]]  # [B, C', R, R'] -> [B, C', H, W]
    if spec.order == "bgr" and pixels.shape[1] == 3:
        pixels = pixels.flip(1)
    low, high = spec.range
    if (low, high) != (0.0, 1.0):
        pixels = pixels * (high - low) + low
    mean = torch.tensor(spec.mean, device=pixels.device).view(-1, 1, 1)
    std = torch.tensor(spec.std, device=pixels.device).view(-1, 1, 1)
    return (pixels - mean) / std


def _encode_columns(rows: Tensor, spec: InputSpec) -> Tensor:
    """Standardize the numbers of table rows ``[B, F]`` and one-hot encode the categories.

    Returns:
        ``[B, F']`` in float32, see `InputSpec.columns`. A missing number is 0, a missing category all 0.
    """
    mean, std = (_double(values, rows) for values in (spec.mean, spec.std))
    normalized = ((rows.double() - mean) / std).float().nan_to_num(nan=0.0)
    if not any(column.categories for column in spec.columns):
        return normalized
    encoded = []
    for index, column in enumerate(spec.columns):
        codes = torch.arange(len(column.categories), device=rows.device)
        one_hot = (rows[:, index, None] == codes).float()  # [B, 1] == [c] -> [B, c]
        encoded.append(one_hot if column.categories else normalized[:, index, None])
    return torch.cat(encoded, dim=1)


def _double(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=like.device)


def _with_channels(views: Tensor, channels: int) -> Tensor:
    if views.shape[1] == channels:
        return views
    if channels == 3:
        return views.expand(-1, 3, -1, -1)  # gray to three equal channels
    weights = torch.tensor(_LUMA, device=views.device).view(1, 3, 1, 1)
    return (views * weights).sum(dim=1, keepdim=True)


class Prepared(nn.Module):
    """A module with its preprocessing: maps views to outputs in the task's form.

    Args:
        module: maps preprocessed views to raw outputs.
        spec: its input.
        scale: see `Model.scale`.
        to_task_shape: see `Task.to_task_shape`.
    """

    def __init__(
        self,
        module: nn.Module,
        spec: InputSpec,
        scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
        to_task_shape: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.spec = spec
        self.scale = scale
        # not the bound method itself, so that deepcopy of this module does not copy the task and its cache
        self.to_task_shape = None if to_task_shape is None else lambda output: to_task_shape(output)

    def forward(self, views: Tensor) -> Any:
        """Return the module's outputs on ``[B, C, H, W]`` views (0 to 1), or on ``[B, F]``."""
        return self.to_task_form(self.module(prepare(views, self.spec)))

    def to_task_form(self, output: Any) -> Any:
        """Return a raw output in the task's form; with a scale, in the target's units and float64."""
        if self.scale is not None:
            mean, deviation = (_double(values, output) for values in self.scale)
            output = output.double() * deviation + mean
        return output if self.to_task_shape is None else self.to_task_shape(output)


def with_preprocessing(model: Model) -> Prepared:
    """Return the model's module with its preprocessing."""
    module = model.module.to(memory_format=torch.channels_last) if model.channels_last else model.module
    return Prepared(module, model.input, model.scale, model.to_task_shape)
