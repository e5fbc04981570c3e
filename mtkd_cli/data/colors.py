"""Changes of the colors of images ``[B, C, H, W]`` in [0, 1], with one parameter per image, ``[B]``.

Means are taken one dimension at a time: for a single image, a joint mean is split over threads, in varying
order. So the result does not depend on the batch or on the number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in the brightness of a color (ITU-R BT.601)."""


def per_image(values: Tensor) -> Tensor:
    """Return values ``[B]`` as ``[B, 1, 1, 1]``."""
    return values.view(-1, 1, 1, 1)


def blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Return ``share * first + (1 - share) * second``, clamped to [0, 1]; ``share [B]`` may exceed 1."""
    share = per_image(share)
    return (share * first + (1 - share) * second).clamp(0, 1)


def mean_of_images(pixels: Tensor) -> Tensor:
    """Return the mean of each image, ``[B, 1, 1, 1]``."""
    return pixels.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True).mean(dim=1, keepdim=True)


def gray(pixels: Tensor) -> Tensor:
    """Return the brightness of each pixel in all channels; images without three channels are not changed."""
    if pixels.shape[1] != 3:
        return pixels
    red, green, blue = pixels.unbind(dim=1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1).expand_as(pixels)


def saturate(pixels: Tensor, factor: Tensor) -> Tensor:
    """Return images with scaled saturation; 0 is gray, 1 no change."""
    return pixels if pixels.shape[1] != 3 else blend(pixels, gray(pixels), factor)


def rotate_hue(pixels: Tensor, turn: Tensor) -> Tensor:
    """Return images with rotated hue, in turns of the color circle; without three channels, unchanged."""
    if pixels.shape[1] != 3:
        return pixels
    red, green, blue = pixels.unbind(dim=1)  # 3 times [B, H, W]
    most, least = pixels.amax(dim=1), pixels.amin(dim=1)
    chroma = most - least
    divisor = torch.where(chroma > 0, chroma, 1)
    # hue in sixths of the circle
    hue = torch.where(
        most == red,
        (green - blue) / divisor,
        torch.where(most == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    hue = hue + 6 * turn.view(-1, 1, 1)
    channels = []
    for offset in (5, 3, 1):
        k = (offset + hue) % 6
        channels.append(most - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)


def sharpen(pixels: Tensor, factor: Tensor) -> Tensor:
    """Return images with scaled differences from a 3x3 blur; 0 is the blur; border pixels do not change."""
    height, width = pixels.shape[2:]
    if height < 3 or width < 3:
        return pixels
    # a sum of shifted images: the order of a convolution's sum depends on the size of the batch
    total = 4 * pixels[:, :, 1:-1, 1:-1]
    for y in range(3):
        for x in range(3):
            total = total + pixels[:, :, y : height - 2 + y, x : width - 2 + x]
    blurred = pixels.clone()
    blurred[:, :, 1:-1, 1:-1] = total / 13
    return blend(pixels, blurred, factor)


def posterize(pixels: Tensor, bits: int) -> Tensor:
    """Return images with only the highest ``bits`` of the 8 bits of each value."""
    return (_as_bytes(pixels) & (256 - (1 << (8 - bits)))).to(pixels.dtype) / 255


def solarize(pixels: Tensor, threshold: float) -> Tensor:
    """Return images with inverted values from ``threshold`` on."""
    return torch.where(pixels >= threshold, 1 - pixels, pixels)


def autocontrast(pixels: Tensor) -> Tensor:
    """Return images whose channels are stretched to [0, 1]; constant channels are not changed."""
    flat = pixels.flatten(2)
    least, most = flat.amin(dim=2)[..., None, None], flat.amax(dim=2)[..., None, None]
    extent = most - least
    return torch.where(extent > 0, (pixels - least) / torch.where(extent > 0, extent, 1), pixels)


def equalize(pixels: Tensor) -> Tensor:
    """Return images with equalized histograms of 8-bit values, channel by channel, as PIL does."""
    values = _as_bytes(pixels).flatten(0, 1).flatten(1)  # [B C, H W]
    counts = _histograms(values)
    last = values.amax(dim=1, keepdim=True)
    step = (counts.sum(dim=1, keepdim=True) - counts.gather(1, last)) // 255  # [B C, 1]
    before = counts.cumsum(dim=1) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step > 0, table, torch.arange(256, device=pixels.device))
    equalized: Tensor = table.gather(1, values).view(pixels.shape)
    return equalized.to(pixels.dtype) / 255


def _histograms(values: Tensor) -> Tensor:
    """Return the number of pixels with each value, ``[N, 256]``, of values ``[N, P]``."""
    offsets = 256 * torch.arange(len(values), device=values.device)[:, None]
    return torch.bincount((values + offsets).flatten(), minlength=256 * len(values)).view(-1, 256)


def _as_bytes(pixels: Tensor) -> Tensor:
    """Return pixels as integers from 0 to 255."""
    return (pixels * 255).round().long()
