"""Views: one deterministic augmentation of a sample, a function of (seed, sample id, number).

Torchvision's v2 transforms draw one set of parameters for a whole batch. Here each sample has
its own, drawn by counters, and all are applied at once: one affine resampling for everything
geometric, then brightness and contrast.
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
"""The number of the view that changes nothing."""


def view(
    inputs: NDArray[Any],
    samples: NDArray[np.uint64],
    number: int,
    seed: int,
    augment: Augment,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return one view of each image, ``[B, C, H, W]`` float32, values 0 to 1; rows of a table as they are.

    Args:
        inputs: ``[B, C, H, W]`` uint8, or ``[B, F]``.
        samples: ``[B]`` id numbers (`counter_rng.id_numbers`).
        number: the view's; 0 is the plain image.
        seed: ``views.seed``.
        augment: what may change.
        device: where the view is made.
    """
    there = to_device(torch.from_numpy(np.require(inputs, requirements=["C", "W"])), device)
    if there.dim() == 2:
        return there.clone()
    pixels = there.float().div_(255)
    if number == PLAIN:
        return pixels
    draws = to_device(_draws(samples, number, seed), device)
    return _colour(_geometry(pixels, draws, augment), draws, augment)


def affine(samples: NDArray[np.uint64], number: int, seed: int, augment: Augment) -> Tensor | None:
    """Return where each place of a view comes from, ``[B, 2, 3]`` (see `Task.moved`); None if it stays.

    Arguments as `view` has them.
    """
    moves = augment.flip or _bends(augment)
    return None if number == PLAIN or not moves else _affine(_draws(samples, number, seed), augment)


def _draws(samples: NDArray[np.uint64], number: int, seed: int) -> Tensor:
    return torch.from_numpy(counter_rng.uniform(samples, 10, "view", seed, number))


def _bends(augment: Augment) -> bool:
    """Whether a view's pixels lie between those of the sample."""
    return bool(augment.shift or augment.rotate or augment.zoom or augment.crop < 1)


def _geometry(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    places = _affine(draws, augment)
    if not _bends(augment):
        return torch.where(places[:, 0, 0, None, None, None] < 0, pixels.flip(-1), pixels)
    grid = F.affine_grid(places, list(pixels.shape), align_corners=False)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _affine(draws: Tensor, augment: Augment) -> Tensor:
    signed = draws * 2 - 1
    flip = torch.where(draws[:, 0] < 0.5, -1.0, 1.0) if augment.flip else torch.ones_like(draws[:, 0])
    side = augment.crop + (1 - augment.crop) * draws[:, 1]
    scale = side / (1 + augment.zoom * signed[:, 2])
    angle = signed[:, 3] * (augment.rotate * torch.pi / 180)
    room = 1 - side
    shift_x = room * signed[:, 4] + 2 * augment.shift * signed[:, 5]
    shift_y = room * signed[:, 6] + 2 * augment.shift * signed[:, 7]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([flip * cos, -sin, shift_x], 1), torch.stack([flip * sin, cos, shift_y], 1)]
    return torch.stack(rows, 1)


def _colour(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    signed = (draws * 2 - 1)[:, :, None, None, None]
    if augment.contrast:
        # Not one mean over three dimensions: for a batch of one, threads would share that sum.
        mean = pixels.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)
        pixels = (pixels - mean) * (1 + augment.contrast * signed[:, 8]) + mean
    if augment.brightness:
        pixels = pixels * (1 + augment.brightness * signed[:, 9])
    return pixels.clamp(0, 1) if augment.contrast or augment.brightness else pixels
