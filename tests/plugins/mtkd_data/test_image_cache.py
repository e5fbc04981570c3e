"""Decoded images in memory, on disk or on demand: the same bits, and clear errors."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError
from mtkd_cli.reading.encoded_images import ImageFiles, describe_image
from mtkd_cli.reading.image_reader import DecodedOnDemand, DecodeOptions
from mtkd_cli.store.data_cache import StoreCache
from mtkd_data import image_cache
from mtkd_data.image_cache import choose_cache, read_images

SIZES = [(60, 80), (45, 80), (80, 45), (33, 77), (64, 64)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Five photos of different shapes."""
    paths = []
    for number, (height, width) in enumerate(SIZES):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / f"{number}.{'jpg' if number % 2 else 'png'}"
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("workers", [1, 5])
def test_every_cache_gives_the_same_bits(files: list[Path], fit: str, workers: int) -> None:
    cache = StoreCache()
    read = {
        place: read_images(
            cache, ImageFiles(files, cache), DecodeOptions((48, 64), 3, fit, workers, cache=place)
        )
        for place in ("disk", "memory", "none")
    }
    assert isinstance(read["none"].inputs, DecodedOnDemand)
    rows = np.array([4, 0, 0, 3])
    for images in read.values():
        assert images.inputs.shape == (5, 3, 48, 64)
        assert images.sizes.tolist() == [list(size) for size in SIZES]
        np.testing.assert_array_equal(images.inputs[rows], read["disk"].inputs[rows])
        np.testing.assert_array_equal(images.inputs[1:3], read["disk"].inputs[1:3])
        np.testing.assert_array_equal(images.contents, read["disk"].contents)


def test_many_threads_may_read(files: list[Path]) -> None:
    cache = StoreCache()
    inputs = read_images(cache, ImageFiles(files, cache), DecodeOptions((32, 32), 3, cache="none")).inputs
    expected = inputs[:]
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: inputs[:], range(40)):
            np.testing.assert_array_equal(found, expected)


def test_windows_are_parts_of_the_original_image(files: list[Path]) -> None:
    cache = StoreCache()
    options = DecodeOptions((20, 30), 3, cache="disk")
    windows = np.array([[0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 1.0, 1.0]])
    parts = read_images(cache, ImageFiles(files, cache), options).windows.read_windows(
        np.array([0, 2]), windows
    )
    with Image.open(files[0]) as image:  # 80 x 60
        by_hand = image.crop((20, 30, 60, 60)).resize((30, 20), Image.Resampling.BICUBIC)
        difference = np.abs(parts[0].astype(int) - np.asarray(by_hand).transpose(2, 0, 1))
        assert difference[:, 2:-2, 2:-2].max() <= 1, "at the border, pixels beside the part have weight too"
    with Image.open(files[2]) as image:
        whole = np.asarray(image.resize((30, 20), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
        np.testing.assert_array_equal(parts[1], whole)


def test_the_cache_is_chosen_by_what_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = image_cache.shutil.disk_usage(tmp_path).free
    assert choose_cache(tmp_path / "new" / "folder", 1000) == "disk"
    assert choose_cache(tmp_path, free) == "none"
    assert choose_cache(tmp_path, free, "disk") == "disk", "the recipe decides"
    monkeypatch.setattr(image_cache, "DISK_SHARE", 0)
    assert choose_cache(tmp_path, 1000) == "memory"
    assert choose_cache(tmp_path, 2**50) == "none"


@pytest.mark.parametrize("place", ["disk", "memory", "none"])
def test_a_truncated_image_is_named_before_the_training(files: list[Path], place: str) -> None:
    files[2].write_bytes(files[2].read_bytes()[:-200])
    cache = StoreCache()
    with pytest.raises(DataError) as raised:
        read_images(cache, ImageFiles(files, cache), DecodeOptions((8, 8), 3, cache=place))
    assert raised.value.where == str(files[2])


@pytest.mark.parametrize("place", ["disk", "memory", "none"])
def test_skips_a_truncated_image_in_every_cache(files: list[Path], place: str) -> None:
    files[2].write_bytes(files[2].read_bytes()[:-200])
    cache = StoreCache()
    images = read_images(cache, ImageFiles(files, cache), DecodeOptions((8, 8), 3, skip=True, cache=place))
    assert images.rows.tolist() == [0, 1, 3, 4]
    assert len(images.inputs) == len(images.contents) == len(images.sizes) == 4


def test_a_file_that_breaks_during_the_training_is_named(files: list[Path]) -> None:
    cache = StoreCache()
    inputs = read_images(cache, ImageFiles(files, cache), DecodeOptions((8, 8), 3, cache="none")).inputs
    files[3].write_bytes(b"not an image")
    assert inputs[:3].shape == (3, 3, 8, 8)
    with pytest.raises(DataError) as raised:
        inputs[2:]
    assert raised.value.where == str(files[3])


def test_a_jpeg_without_end_marker_counts_if_it_can_be_decoded() -> None:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "JPEG")
    assert describe_image(content.getvalue())[1:] == (30, 40)
    upright = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), "red").save(upright, "JPEG", exif=exif)
    assert describe_image(upright.getvalue())[1:] == (40, 30), "the size is that of the upright image"
    assert describe_image(upright.getvalue() + b"\0" * 100)[1:] == (40, 30), "bytes after the end"
    assert describe_image(content.getvalue()[:200])[1:] == (0, 0)
    assert describe_image(b"")[1:] == (0, 0)
