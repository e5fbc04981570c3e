"""Views: one deterministic augmentation of a sample, a function of (seed, sample id, number).

Torchvision's v2 transforms draw one set of parameters for a whole batch. Here each sample has its own
parameters, drawn from counters, and the batch is transformed at once: one affine resampling for all geometric
changes, then contrast and brightness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.recipe.schema import Augment

PLAIN = 0
"""Number of the view without augmentation."""
DRAWS = 10
"""Random numbers for each view; their columns are used in `_affine` and `_color`."""


def view(
    inputs: NDArray[Any],
    samples: NDArray[np.uint64],
    number: int,
    seed: int,
    augment: Augment,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return one view of each image, ``[B, C, H, W]`` float32 in [0, 1]; rows of a table are not changed.

    Args:
        inputs: ``[B, C, H, W]`` uint8, or ``[B, F]``.
        samples: ``[B]``, id numbers from `counter_rng.id_numbers`.
        number: number of the view; 0 is the image without augmentation.
        seed: ``views.seed`` of the recipe.
        augment: the augmentation's ranges.
        device: device of the result.
    """
    batch = to_device(torch.from_numpy(np.require(inputs, requirements=["C", "W"])), device)
    if batch.dim() == 2:
        return batch.clone()
    pixels = batch.float().div_(255)  # uint8 -> [0, 1]
    if number == PLAIN:
        return pixels
    draws = to_device(_draws(samples, number, seed), device)
    return _color(_geometry(pixels, draws, augment), draws, augment)


def affine(samples: NDArray[np.uint64], number: int, seed: int, augment: Augment) -> Tensor | None:
    """Return the affine map from view to sample coordinates, ``[B, 2, 3]``; None if nothing moves.

    See `Task.transform_labels` for the coordinates and `view` for the arguments.
    """
    moves = augment.flip or _resamples(augment)
    return None if number == PLAIN or not moves else _affine(_draws(samples, number, seed), augment)


def _draws(samples: NDArray[np.uint64], number: int, seed: int) -> Tensor:
    """Return the random numbers of each sample's view in [0, 1), ``[B, DRAWS]``."""
    return torch.from_numpy(counter_rng.uniform(samples, DRAWS, "view", seed, number))


def _resamples(augment: Augment) -> bool:
    """Whether views need interpolation; a flip alone does not."""
    return bool(augment.shift or augment.rotate or augment.zoom or augment.crop < 1)


def _geometry(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` after flip, rotation, zoom, crop and shift."""
    matrix = _affine(draws, augment)  # [B, 2, 3]
    if not _resamples(augment):
        # The first entry of a flipped view is -1: mirror these samples exactly.
        return torch.where(matrix[:, 0, 0, None, None, None] < 0, pixels.flip(-1), pixels)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)  # [B, H, W, 2]
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _affine(draws: Tensor, augment: Augment) -> Tensor:
    """Return the affine matrices ``[B, 2, 3]`` from view to sample, in coordinates from -1 to 1."""
    signed = draws * 2 - 1  # [B, DRAWS], -1 to 1
    flip = torch.where(draws[:, 0] < 0.5, -1.0, 1.0) if augment.flip else torch.ones_like(draws[:, 0])
    side = augment.crop + (1 - augment.crop) * draws[:, 1]  # share of the image's side that is shown
    scale = side / (1 + augment.zoom * signed[:, 2])
    angle = signed[:, 3] * (augment.rotate * torch.pi / 180)
    # The crop moves within the rest of the image; the shift is a share of a side, which is 2 long.
    rest = 1 - side
    shift_x = rest * signed[:, 4] + 2 * augment.shift * signed[:, 5]
    shift_y = rest * signed[:, 6] + 2 * augment.shift * signed[:, 7]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([flip * cos, -sin, shift_x], 1), torch.stack([flip * sin, cos, shift_y], 1)]
    return torch.stack(rows, 1)  # 2 times [B, 3] -> [B, 2, 3]


def _color(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` after contrast and brightness, clamped to [0, 1]."""
    signed = (draws * 2 - 1)[:, :, None, None, None]  # [B, DRAWS, 1, 1, 1]: signed[:, i] broadcasts to pixels
    if augment.contrast:
        # One dimension at a time: for a single image, a joint mean is split over threads, in varying order.
        mean = pixels.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
        pixels = (pixels - mean) * (1 + augment.contrast * signed[:, 8]) + mean
    if augment.brightness:
        pixels = pixels * (1 + augment.brightness * signed[:, 9])
    return pixels.clamp(0, 1) if augment.contrast or augment.brightness else pixels
