"""A student that answers on the original image: its program takes the image's size as a second input."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtkd_cli.inference.student import LoadedStudent
from mtkd_cli.interfaces import Placement, Task, sides

LARGEST_SIDE = 2**16
"""Largest side of an original image, in pixels."""


class TracedPlacement:
    """A `Placement` of an image whose size is a tensor, so that the exporters keep it as an input.

    Args:
        frame: ``[2]`` int64, height and width of the original upright image, in pixels.
        grid: height and width of the grid, in pixels.
        fit: see `mtkd_cli.interfaces.placement.Fit`.
    """

    fills_grid = False

    def __init__(self, frame: Tensor, grid: tuple[int, int], fit: str) -> None:
        self.frame, self.grid = frame, grid
        size = frame.double()
        whole = torch.tensor(grid, dtype=torch.float64)
        if fit == "stretch":
            resized, offset = whole, torch.zeros_like(whole)
        elif fit == "pad":
            scale = (whole / size).min()
            resized = torch.minimum(torch.round(size * scale).clamp(min=1), whole)
            offset = torch.floor((whole - resized) / 2)
        else:
            resized = size * (whole / size).max()
            offset = (whole - resized) / 2
        self.resized, self.offset = resized, offset  # [2] each, float64
        self.is_cropped = fit == "crop"

    def boxes_to_frame(self, boxes: Tensor) -> Tensor:
        """Return corners ``[*, 4]`` relative to the grid as corners relative to the frame, clipped to it."""
        whole = torch.tensor(self.grid, dtype=torch.float64)
        # (height, width) -> (x, y, x, y)
        scale = (self.resized / whole).flip(0).repeat(2).to(boxes.dtype)
        shift = (self.offset / whole).flip(0).repeat(2).to(boxes.dtype)
        return ((boxes - shift) / scale).clamp(0, 1)

    def maps_to_frame(self, maps: Tensor) -> Tensor:
        """Return maps ``[1, C, h, w]`` on the grid as maps ``[1, C, H, W]`` on the frame, bilinear."""
        if not self.is_cropped and tuple(maps.shape[2:]) != self.grid:
            maps = F.interpolate(maps, size=self.grid, mode="bilinear", align_corners=False)
        centers = [self._positions(axis) for axis in (0, 1)]
        rows, columns = (each.shape[0] for each in centers)
        # [H, W, 2]: x and y on the grid of each pixel of the frame
        y, x = centers[0][:, None].expand(rows, columns), centers[1][None].expand(rows, columns)
        positions = torch.stack([x, y], dim=-1)[None].to(maps.dtype)
        return F.grid_sample(maps, positions, mode="bilinear", padding_mode="border", align_corners=False)

    def _positions(self, axis: int) -> Tensor:
        """Return where the centers of the frame's pixels lie along an axis of the grid, -1 to 1."""
        side = cast("int", self.frame[axis].item())
        torch._check(side >= 1)
        torch._check(side <= LARGEST_SIDE)
        inside = (torch.arange(side, dtype=torch.float64) + 0.5) * self.resized[axis] / side
        if not self.is_cropped:  # padding is never mixed with the edge of the image
            inside = torch.minimum(inside.clamp(min=0.5), self.resized[axis] - 0.5)
        return 2 * (inside + self.offset[axis]) / self.grid[axis] - 1


class OnFrames(nn.Module):
    """A student whose outputs are on the original image."""

    def __init__(self, module: nn.Module, task: Task, grid: tuple[int, int], fit: str) -> None:
        super().__init__()
        self.module = module
        self.task, self.grid, self.fit = task, grid, fit

    def forward(self, inputs: Tensor, frame: Tensor) -> Any:
        """Return the outputs of one sample on its original image.

        Args:
            inputs: the image on the grid, ``[1, C, H, W]`` uint8.
            frame: ``[2]`` int64, height and width of the original upright image.
        """
        placement = cast("Placement", TracedPlacement(frame, self.grid, self.fit))
        return self.task.to_frame(self.module(inputs), placement)


def on_frames(module: nn.Module, student: LoadedStudent) -> OnFrames:
    """Return the student's module with outputs on the original image."""
    reads = student.facts["reads"]
    return OnFrames(module, student.task, sides(reads["size"]), reads["fit"]).eval()
