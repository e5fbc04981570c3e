"""Images are decoded as viewers show them, and damaged files are named."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.reading.images import decode
from tests.fixtures.class_folders import load, save, two_classes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return two_classes(tmp_path / "data")


@pytest.mark.parametrize("ending", ["webp", "bmp", "gif", "WEBP"])
def test_reads_other_formats(root: Path, ending: str) -> None:
    save(root / "cat" / f"z.{ending}")
    data = load(root)
    assert f"cat/z.{ending}" in data.train.ids


def test_reads_first_picture_of_animation(root: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), color) for color in ("red", "blue", "lime")]
    for ending, options in (("gif", {}), ("webp", {"lossless": True})):
        pictures[0].save(root / f"cat/z.{ending}", save_all=True, append_images=pictures[1:], **options)
        data = load(root)
        rows = data.train.read(np.array([data.train.ids.index(f"cat/z.{ending}")]))
        assert rows[0, :, 4, 4].tolist() == [255, 0, 0]
        (root / f"cat/z.{ending}").unlink()


@pytest.mark.parametrize("ending", ["webp", "bmp", "gif"])
def test_rejects_truncated_image_of_other_formats(root: Path, ending: str) -> None:
    save(root / "cat" / f"z.{ending}")
    content = (root / "cat" / f"z.{ending}").read_bytes()
    (root / "cat" / f"z.{ending}").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        load(root)


def test_rejects_two_channels(root: Path) -> None:
    with pytest.raises(UsageError, match="invalid number of channels 2"):
        load(root, channels=2)


def solid_color(*value: int, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (10, 10), value if len(value) > 1 else value[0])


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (solid_color(10, 200, 30), "png", (10, 200, 30)),
        (solid_color(120, mode="L"), "png", (120, 120, 120)),
        (solid_color(1, mode="1"), "png", (255, 255, 255)),
        (solid_color(10, 200, 30).convert("P", palette=Image.Palette.ADAPTIVE), "png", (10, 200, 30)),
        (solid_color(10, 200, 30, 255, mode="RGBA"), "png", (10, 200, 30)),
        (solid_color(10, 200, 30, 0, mode="RGBA"), "png", (255, 255, 255)),
        (solid_color(0, 128, mode="LA"), "png", (127, 127, 127)),
        (solid_color(0, 255, 255, 0, mode="CMYK"), "jpg", (255, 0, 0)),
        (Image.fromarray(np.full((10, 10), 40_000, np.uint16)), "png", (156, 156, 156)),
    ],
    ids=["rgb", "grey", "1-bit", "palette", "opaque", "transparent", "grey-alpha", "cmyk", "16-bit"],
)
def test_decodes_image_modes(
    tmp_path: Path, image: Image.Image, suffix: str, expected: tuple[int, int, int]
) -> None:
    image.save(tmp_path / f"a.{suffix}")
    pixels = decode(tmp_path / f"a.{suffix}", 8, 3)
    assert pixels.shape == (3, 8, 8)
    np.testing.assert_allclose(pixels.mean(axis=(1, 2)), expected, atol=2)
    assert decode(tmp_path / f"a.{suffix}", 8, 1).shape == (1, 8, 8)


def test_transparent_palette_color_becomes_white(tmp_path: Path) -> None:
    image = solid_color(0, mode="P")
    image.putpalette([10, 20, 30] + [0] * 765)
    image.save(tmp_path / "a.png", transparency=0)
    assert (decode(tmp_path / "a.png", 8, 3) == 255).all()


def test_applies_exif_rotation(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated: a rotation by 270 degrees makes it upright
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a.jpg", exif=exif, quality=100)
    pixels = decode(tmp_path / "a.jpg", 16, 3)
    assert pixels[:, :6].min() > 200
    assert pixels[:, 10:].max() < 50


def test_crops_center_of_wide_image(tmp_path: Path) -> None:
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert (decode(tmp_path / "a.png", 8, 1) == 255).all()


def huge_png(path: Path, side: int) -> None:
    """Write a small file whose header claims a huge image."""
    save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", side, side)
    path.write_bytes(content)


def damage(path: Path, how: str) -> None:
    if how == "truncated":
        save(path, (64, 64, 3), format="JPEG")
        path.write_bytes(path.read_bytes()[:700])
    elif how == "truncated-png":
        save(path, (64, 64, 3), format="PNG")
        path.write_bytes(path.read_bytes()[:700])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("no image")
    elif how == "tiff":
        save(path, (8, 8), format="TIFF")
    elif how == "bomb":
        huge_png(path, 12_000)
    else:
        huge_png(path, 60_000)


KINDS = ["truncated", "truncated-png", "empty", "text", "tiff", "bomb", "larger-bomb"]


@pytest.mark.parametrize("how", KINDS)
def test_rejects_bad_image(root: Path, how: str) -> None:
    damage(root / "dog" / "1.png", how)
    with pytest.raises(DataError, match="cannot be read") as caught:
        load(root)
    assert caught.value.where == str(root / "dog" / "1.png")
    assert "skip" in caught.value.hint


@pytest.mark.parametrize("how", KINDS)
def test_skips_and_reports_bad_image(root: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    good = load(root).train
    damage(root / "dog" / "1.png", how)
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        with caplog.at_level(logging.WARNING, "mtkd"):
            data = load(root, on_bad_sample="skip").train
        assert "skipped 1 of 6" in caplog.text
        assert str(root / "dog" / "1.png") in caplog.text
        assert data.ids == (*good.ids[:4], good.ids[5])
        assert data.targets.tolist() == [0, 0, 0, 1, 1]
        np.testing.assert_array_equal(data.inputs, good.inputs[[0, 1, 2, 3, 5]])
    with pytest.raises(DataError, match="cannot be read"):
        load(root)


def test_skips_at_most_one_percent(root: Path) -> None:
    damage(root / "dog" / "1.png", "text")
    damage(root / "dog" / "2.png", "text")
    with pytest.raises(DataError, match="more than 1 images"):
        load(root, on_bad_sample="skip")
