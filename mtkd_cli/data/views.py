"""Views: one deterministic augmentation of a sample, a function of (seed, sample id, number).

Torchvision's v2 transforms draw one set of parameters for a whole batch. Here each sample has its own
parameters, drawn from counters, and the batch is transformed at once: a random crop of the original image,
one affine resampling for all other geometric changes, then colors, an erased rectangle, and the mixture with
another sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mtkd_cli import counter_rng
from mtkd_cli.data import colors, mixing, randaugment, rectangles
from mtkd_cli.data.dataset import Split
from mtkd_cli.distributed.devices import to_device
from mtkd_cli.interfaces import Samples, WindowReader
from mtkd_cli.reading.images import crop_windows
from mtkd_cli.recipe.schema import Augment

PLAIN = 0
"""Number of the view without augmentation."""
DRAWS = 21
"""Random numbers for each view; their columns are used in `_affine`, `_windows`, `_color` and `_erase`."""
ASPECT = math.log(4 / 3)
"""Largest logarithm of a random crop's aspect ratio, relative to its image's (Szegedy et al., CVPR 2015)."""


def views_of(
    split: Split,
    rows: slice | NDArray[np.int64],
    number: int,
    seed: int,
    augment: Augment,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return one view of each sample, ``[B, C, H, W]`` float32 in [0, 1], or rows of a table ``[B, F]``.

    Args:
        split: split with the samples.
        rows: the samples.
        number: number of the view; 0 is the sample without augmentation.
        seed: ``views.seed`` of the recipe.
        augment: the augmentation's ranges.
        device: device of the result.
    """
    if is_mixed(number, augment):
        chosen = np.arange(len(split))[rows]
        rows = np.concatenate([chosen, mixing.partners(len(split), seed, number)[chosen]])
    ids = split.id_numbers[rows]
    return view(read_inputs(split, rows, number, seed, augment), ids, number, seed, augment, device)


def is_mixed(number: int, augment: Augment) -> bool:
    """Whether a view shows two samples."""
    return number != PLAIN and augment.mixes


def read_inputs(
    split: Split, rows: slice | NDArray[np.int64], number: int, seed: int, augment: Augment
) -> NDArray[Any]:
    """Return the inputs of one view before `view`: whole images, or random crops of the original images.

    See `views_of` for the arguments.
    """
    samples = split.samples
    if number == PLAIN or augment.resized_crop == 1 or samples.inputs.ndim == 2:
        return samples.read(rows)
    windows = _windows(split.id_numbers[rows], number, seed, augment)
    reader = _original_images(samples)
    if reader is None:
        return crop_windows(samples.read(rows), windows)
    indices = np.arange(len(samples))[rows]
    return reader.read_windows(indices if samples.rows is None else samples.rows[indices], windows)


def view(
    inputs: NDArray[Any],
    samples: NDArray[np.uint64],
    number: int,
    seed: int,
    augment: Augment,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return one view of each image, ``[B, C, H, W]`` float32 in [0, 1], or rows of a table ``[B, F]``.

    For a mixed view (`is_mixed`), inputs and samples are those of the B samples, followed by those of their
    partners. Rows of a table are mixed, but not changed otherwise.

    Args:
        inputs: ``[B, C, H, W]`` uint8, or ``[B, F]``, from `read_inputs`; 2 B for a mixed view.
        samples: ``[B]``, id numbers from `counter_rng.id_numbers`; ``[2 B]`` for a mixed view.
        number: number of the view; 0 is the image without augmentation.
        seed: ``views.seed`` of the recipe.
        augment: the augmentation's ranges.
        device: device of the result.
    """
    batch = to_device(torch.from_numpy(np.require(inputs, requirements=["C", "W"])), device)
    views = batch.clone() if batch.dim() == 2 else _augmented(batch, samples, number, seed, augment)
    if not is_mixed(number, augment):
        return views
    share = mixing.own_share(samples[: len(samples) // 2], number, seed, augment, tuple(views.shape[2:]))
    return mixing.mix(views, to_device(share, device))


def _augmented(
    images: Tensor, samples: NDArray[np.uint64], number: int, seed: int, augment: Augment
) -> Tensor:
    """Return one view of each image ``[B, C, H, W]``, not mixed; see `view` for the arguments."""
    pixels = images.float().div_(255)  # uint8 -> [0, 1]
    if number == PLAIN:
        return pixels
    draws = to_device(_draws(samples, number, seed), pixels.device)
    height, width = pixels.shape[2:]
    moves = _moves(draws, samples, number, seed, augment, height / width)
    pixels = _color(_geometry(pixels, moves, augment), draws, augment)
    if augment.randaugment:
        pixels = randaugment.recolor(pixels, samples, number, seed, augment.randaugment)
    return _erase(pixels, draws, augment) if augment.erase else pixels


def affine(
    samples: NDArray[np.uint64], number: int, seed: int, augment: Augment, aspect: float = 1.0
) -> Tensor | None:
    """Return the affine map from view to its inputs' coordinates, ``[B, 2, 3]``; None if nothing moves.

    See `Task.transform_labels` for the coordinates and `view` for the arguments.

    Args:
        samples: ``[B]``, id numbers.
        number: number of the view.
        seed: seed of the views.
        augment: the augmentation's ranges.
        aspect: height of the images divided by their width.
    """
    if number == PLAIN or not (augment.flip or _resamples(augment)):
        return None
    return _moves(_draws(samples, number, seed), samples, number, seed, augment, aspect)


def window_affine(
    split: Split, rows: NDArray[np.int64], number: int, seed: int, augment: Augment
) -> Tensor | None:
    """Return the affine map from `read_inputs` to the samples' grid, ``[B, 2, 3]``; None if they are equal.

    A random crop is a part of the original image; the labels are on the grid, on which the original image
    may be padded or cropped.
    """
    if number == PLAIN or augment.resized_crop == 1:
        return None
    windows = torch.from_numpy(_windows(split.id_numbers[rows], number, seed, augment))  # [B, 4]
    on_grid, of_frame = [], _original_images(split.samples) is not None
    for row, window in zip(rows.tolist(), windows, strict=True):
        placement = split.samples.placement(row) if of_frame else None
        on_grid.append(window if placement is None else placement.boxes_to_grid(window))
    left, top, right, bottom = (torch.stack(on_grid) * 2 - 1).unbind(dim=1)  # from -1 to 1
    zero = torch.zeros_like(left)
    x = torch.stack([(right - left) / 2, zero, (right + left) / 2], dim=1)
    y = torch.stack([zero, (bottom - top) / 2, (bottom + top) / 2], dim=1)
    return torch.stack([x, y], dim=1).float()  # 2 times [B, 3] -> [B, 2, 3]


def compose(outer: Tensor | None, inner: Tensor | None) -> Tensor | None:
    """Return the affine map ``outer(inner(x))`` of maps ``[B, 2, 3]``; None is the identity."""
    if outer is None or inner is None:
        return inner if outer is None else outer
    inner = inner.to(outer)
    linear = outer[:, :, :2] @ inner[:, :, :2]
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return torch.cat([linear, shift], dim=2)


def _original_images(samples: Samples) -> WindowReader | None:
    """Return the reader of the original images; None if random crops are parts of the grid.

    Labels cover the grid only, so the parts of an image that ``fit: crop`` cuts have none.
    """
    frames = samples.frames
    if frames is not None and frames.labels is not None and frames.fit == "crop":
        return None
    return samples.windows


def _draws(samples: NDArray[np.uint64], number: int, seed: int) -> Tensor:
    """Return the random numbers of each sample's view in [0, 1), ``[B, DRAWS]``."""
    return torch.from_numpy(counter_rng.uniform(samples, DRAWS, "view", seed, number))


def _windows(samples: NDArray[np.uint64], number: int, seed: int, augment: Augment) -> NDArray[np.float64]:
    """Return left, top, right, bottom of a random crop of each image, relative to its sides, ``[B, 4]``.

    The area is uniform between the smallest share and 1, the logarithm of the aspect ratio uniform, the
    position uniform. A side that exceeds the image is cut.
    """
    draws = counter_rng.uniform(samples, DRAWS, "view", seed, number).astype(np.float64)[:, 10:14]
    area = augment.resized_crop + (1 - augment.resized_crop) * draws[:, 0]
    aspect = np.exp(ASPECT * (2 * draws[:, 1] - 1))
    width, height = np.minimum(np.sqrt(area * aspect), 1), np.minimum(np.sqrt(area / aspect), 1)
    left, top = (1 - width) * draws[:, 2], (1 - height) * draws[:, 3]
    return np.stack([left, top, left + width, top + height], axis=1)


def _resamples(augment: Augment) -> bool:
    """Whether views need interpolation; a flip alone does not."""
    moves = augment.shift or augment.rotate or augment.zoom or augment.crop < 1 or augment.randaugment
    return bool(moves)


def _moves(
    draws: Tensor, samples: NDArray[np.uint64], number: int, seed: int, augment: Augment, aspect: float
) -> Tensor:
    """Return the affine map from view to inputs, ``[B, 2, 3]``, including that of RandAugment."""
    matrix = _affine(draws, augment, aspect)
    if augment.randaugment is None:
        return matrix
    more = randaugment.affine(samples, number, seed, augment.randaugment, aspect)
    moved = compose(matrix, more)
    return matrix if moved is None else moved


def _geometry(pixels: Tensor, matrix: Tensor, augment: Augment) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` moved by affine maps ``[B, 2, 3]`` from view to inputs."""
    if not _resamples(augment):
        # The first entry of a flipped view is -1: mirror these samples exactly.
        return torch.where(matrix[:, 0, 0, None, None, None] < 0, pixels.flip(-1), pixels)
    grid = F.affine_grid(matrix, list(pixels.shape), align_corners=False)  # [B, H, W, 2]
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _affine(draws: Tensor, augment: Augment, aspect: float) -> Tensor:
    """Return the affine matrices ``[B, 2, 3]`` from view to sample, in coordinates from -1 to 1.

    Args:
        draws: ``[B, DRAWS]``.
        augment: the augmentation's ranges.
        aspect: height of the images divided by their width; rotations are in pixels.
    """
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
    rows = [
        torch.stack([flip * cos, -sin * aspect, shift_x], 1),
        torch.stack([flip * sin / aspect, cos, shift_y], 1),
    ]
    return torch.stack(rows, 1)  # 2 times [B, 3] -> [B, 2, 3]


def _color(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` after contrast, brightness, saturation, hue and grayscale."""
    signed = draws * 2 - 1  # [B, DRAWS], -1 to 1
    if augment.contrast:
        mean = colors.mean_of_images(pixels)
        pixels = (pixels - mean) * (1 + augment.contrast * colors.per_image(signed[:, 8])) + mean
    if augment.brightness:
        pixels = pixels * (1 + augment.brightness * colors.per_image(signed[:, 9]))
    if augment.contrast or augment.brightness:
        pixels = pixels.clamp(0, 1)
    if augment.saturation:
        pixels = colors.saturate(pixels, 1 + augment.saturation * signed[:, 14])
    if augment.hue:
        pixels = colors.rotate_hue(pixels, augment.hue * signed[:, 15])
    if augment.grayscale:
        removed = colors.per_image(draws[:, 16]) < augment.grayscale
        pixels = torch.where(removed, colors.gray(pixels), pixels)
    return pixels


def _erase(pixels: Tensor, draws: Tensor, augment: Augment) -> Tensor:
    """Return the pixels ``[B, C, H, W]`` with a rectangle of each image's mean brightness."""
    height, width = pixels.shape[2:]
    edges = rectangles.erased(draws[:, 17:].double().cpu().numpy(), augment.erase, height, width)
    mask = torch.from_numpy(rectangles.fill(edges, height, width)).to(pixels.device)
    return torch.where(mask[:, None], colors.mean_of_images(pixels), pixels)
