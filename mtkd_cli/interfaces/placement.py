"""Where an image lies on the grid of a model's inputs, and how to map answers back to the image.

The *frame* of a sample is its original upright image; the *grid* is the array that models see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Fit = Literal["crop", "stretch", "pad"]
"""``crop`` covers the grid and cuts the rest, ``stretch`` ignores the aspect ratio, ``pad`` shows the whole
image and fills the rest with gray (letterbox)."""


def sides(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """Return height and width of a size in pixels; one number is the side of a square."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)


@dataclass(frozen=True)
class Placement:
    """The position of one image on the grid. All sizes are (height, width) in pixels.

    Attributes:
        frame: size of the original upright image.
        grid: size of the grid.
        resized: size of the resized image; integers for ``pad`` and ``stretch``.
        offset: top and left edge of the resized image on the grid; negative where it is cropped.
    """

    frame: tuple[int, int]
    grid: tuple[int, int]
    resized: tuple[float, float]
    offset: tuple[float, float]

    @property
    def fills_grid(self) -> bool:
        """Whether the image and the grid show the same area, so that relative coordinates are equal."""
        return self.resized == self.grid and self.offset == (0, 0)

    @property
    def shown(self) -> tuple[float, float, float, float]:
        """Part of the frame that the grid shows: left, top, right, bottom, in pixels of the frame."""
        edges = []
        for axis in (1, 0):
            scale = self.frame[axis] / self.resized[axis]
            start, stop = -self.offset[axis] * scale, (self.grid[axis] - self.offset[axis]) * scale
            edges.append((max(0.0, start), min(float(self.frame[axis]), stop)))
        (left, right), (top, bottom) = edges
        return left, top, right, bottom

    def boxes_to_frame(self, boxes: Tensor) -> Tensor:
        """Return corners ``[*, 4]`` (x1, y1, x2, y2) relative to the grid as corners relative to the frame.

        They are clipped to the frame.
        """
        if self.fills_grid:
            return boxes
        scale, shift = self._relative(boxes)
        return ((boxes - shift) / scale).clamp(0, 1)

    def boxes_to_grid(self, boxes: Tensor) -> Tensor:
        """Return corners ``[*, 4]`` relative to the frame as corners relative to the grid, not clipped."""
        if self.fills_grid:
            return boxes
        scale, shift = self._relative(boxes)
        return boxes * scale + shift

    def maps_to_frame(self, maps: Tensor) -> Tensor:
        """Return maps ``[B, C, h, w]`` on the grid as maps ``[B, C, H, W]`` on the frame, bilinear.

        ``h`` and ``w`` may differ from the grid, as long as both show the same area. Padding is cut off.
        Pixels of the frame outside the grid take the value of the nearest pixel inside.
        """
        import torch
        import torch.nn.functional as F

        if self.fills_grid or self._is_padded():
            top, left = (round(edge) for edge in self.offset)
            height, width = (round(side) for side in self.resized)
            if tuple(maps.shape[2:]) != self.grid:
                maps = F.interpolate(maps, size=self.grid, mode="bilinear", align_corners=False)
            shown = maps[..., top : top + height, left : left + width]
            if tuple(shown.shape[2:]) == self.frame:
                return shown
            return F.interpolate(shown, size=self.frame, mode="bilinear", align_corners=False)
        # Frame to grid, from -1 to 1: x -> scale x + shift, with the centers of both at 0.
        rows = torch.zeros(len(maps), 2, 3, dtype=maps.dtype, device=maps.device)
        for row, axis in ((0, 1), (1, 0)):
            rows[:, row, row] = self.resized[axis] / self.grid[axis]
            center = self.offset[axis] + self.resized[axis] / 2
            rows[:, row, 2] = 2 * center / self.grid[axis] - 1
        positions = F.affine_grid(rows, [len(maps), maps.shape[1], *self.frame], align_corners=False)
        return F.grid_sample(maps, positions, mode="bilinear", padding_mode="border", align_corners=False)

    def _is_padded(self) -> bool:
        return all(r <= g for r, g in zip(self.resized, self.grid, strict=True))

    def _relative(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and shift ``[4]`` from corners relative to the frame to the same on the grid."""
        scale = [self.resized[axis] / self.grid[axis] for axis in (1, 0)] * 2
        shift = [self.offset[axis] / self.grid[axis] for axis in (1, 0)] * 2
        return like.new_tensor(scale), like.new_tensor(shift)


def place(frame: tuple[int, int], grid: tuple[int, int], fit: str) -> Placement:
    """Return the placement of an image on a grid.

    Args:
        frame: height and width of the upright image, in pixels.
        grid: height and width of the grid, in pixels.
        fit: see `Fit`.
    """
    (height, width), (rows, columns) = frame, grid
    if fit == "stretch":
        return Placement(frame, grid, (rows, columns), (0, 0))
    if fit == "pad":
        scale = min(rows / height, columns / width)
        resized = (min(rows, max(1, round(height * scale))), min(columns, max(1, round(width * scale))))
        return Placement(frame, grid, resized, ((rows - resized[0]) // 2, (columns - resized[1]) // 2))
    scale = max(rows / height, columns / width)
    covering = height * scale, width * scale
    return Placement(frame, grid, covering, ((rows - covering[0]) / 2, (columns - covering[1]) / 2))
