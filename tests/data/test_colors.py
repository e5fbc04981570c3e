"""Colors are torchvision's, with one parameter per image, and do not depend on the batch."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from mtkd_cli.data import colors

FACTORS = torch.tensor([0.0, 0.4, 1.0, 1.7])


def images(channels: int = 3, height: int = 9, width: int = 7) -> Tensor:
    values = np.random.default_rng(0).integers(0, 256, (4, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(values).float() / 255


def each(change: Callable[[Tensor, float], Tensor], values: Tensor, pixels: Tensor) -> Tensor:
    """Return the images, each changed alone by torchvision."""
    return torch.stack([change(p, v.item()) for p, v in zip(pixels, values, strict=True)])


@pytest.mark.parametrize("channels", [1, 3])
def test_saturation(channels: int) -> None:
    pixels = images(channels)
    expected = each(F.adjust_saturation, FACTORS, pixels)
    torch.testing.assert_close(colors.saturate(pixels, FACTORS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hue(turn: float) -> None:
    pixels = images()
    pixels[0] = 0.3  # gray
    pixels[1, :, 0] = torch.eye(3, 7)  # primary colors and black
    expected = F.adjust_hue(pixels, turn)
    made = colors.rotate_hue(pixels, torch.full((4,), turn))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_gray() -> None:
    pixels = images()
    torch.testing.assert_close(colors.gray(pixels), F.rgb_to_grayscale(pixels, 3), atol=1e-4, rtol=0)
    assert torch.equal(colors.gray(images(1)), images(1))


@pytest.mark.parametrize("side", [2, 3, 9])
def test_sharpness(side: int) -> None:
    pixels = images(height=side)
    expected = each(F.adjust_sharpness, FACTORS, pixels)
    torch.testing.assert_close(colors.sharpen(pixels, FACTORS), expected, atol=1e-5, rtol=0)


def as_bytes(pixels: Tensor) -> Tensor:
    return (pixels * 255).round().to(torch.uint8)


@pytest.mark.parametrize("bits", [1, 4, 7, 8])
def test_posterize(bits: int) -> None:
    assert torch.equal(as_bytes(colors.posterize(images(), bits)), F.posterize(as_bytes(images()), bits))


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_solarize(threshold: float) -> None:
    torch.testing.assert_close(colors.solarize(images(), threshold), F.solarize(images(), threshold))


def few_values(channels: int = 3) -> Tensor:
    """Images with empty parts of the histogram, and constant channels."""
    pixels = images(channels, 40, 40)
    pixels[0] = (pixels[0] * 0.4 + 0.2).mul(255).round() / 255
    pixels[1, 0] = 0.2
    pixels[2] = (pixels[2] > 0.9).float()
    return pixels


def test_autocontrast() -> None:
    made = colors.autocontrast(few_values())
    torch.testing.assert_close(made, F.autocontrast(few_values()), atol=1e-5, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_equalize(channels: int) -> None:
    pixels = few_values(channels)
    assert torch.equal(as_bytes(colors.equalize(pixels)), F.equalize(as_bytes(pixels)))
