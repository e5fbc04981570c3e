"""Data sources with masks: values and classes, and errors in files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mtkd_cli.data.dataset import load as load_data
from mtkd_cli.errors import DataError, MtkdError, UsageError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.recipe.schema import Data
from mtkd_cli.testing import cache_in
from mtkd_data.mask_folder import MaskFolder
from mtkd_data.oxford_pet import OxfordPet
from mtkd_data.voc_segmentation import VocSegmentation

SIZE = 8
DEFAULTS: dict[str, Any] = {
    "classes": ["none", "cat", "dog"],
    "values": None,
    "ignore": None,
    "unlabeled": None,
    "missing": "error",
    "size": SIZE,
    "channels": 3,
    "on_bad_sample": "error",
    "workers": 2,
}
HALVES = np.repeat(np.array([[0, 1]], dtype=np.uint8), SIZE, axis=0).repeat(SIZE // 2, axis=1)


def save(file: Path, pixels: NDArray[Any], mode: str | None = None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        assert image.mode == "P"
    image.save(file)


def photo(side: int = SIZE, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "scenes"
    for number in range(4):
        save(root / "images" / f"{number}.jpg", photo(seed=number))
        save(root / "masks" / f"{number}.png", HALVES * (number % 3))
    return root


def load(root: Path, **options: Any) -> SourceData:
    return MaskFolder(str(root), **{**DEFAULTS, **options}).load(cache_in(Path()))


def test_matches_masks_to_images_by_name(folder: Path) -> None:
    data = load(folder)
    assert data.classes == ("none", "cat", "dog")
    assert data.train.ids == ("0", "1", "2", "3")
    assert (data.train.inputs.shape, data.train.targets.dtype) == ((4, 3, SIZE, SIZE), np.int16)
    for number in range(4):
        assert np.array_equal(data.train.targets[number], HALVES * (number % 3))


def test_reads_palette_gray_and_16_bit_masks(folder: Path) -> None:
    save(folder / "masks" / "1.png", HALVES, "P")
    save(folder / "masks" / "2.png", (HALVES * 2).astype(np.uint16))
    assert [int(target.max()) for target in load(folder).train.targets] == [0, 1, 2, 0]


def test_void_pixels_and_images_without_masks_are_unlabeled(folder: Path, tmp_path: Path) -> None:
    save(folder / "masks" / "0.png", np.where(HALVES, 255, 2).astype(np.uint8))
    save(tmp_path / "more" / "x.png", photo())
    train = load(folder, unlabeled=str(tmp_path / "more")).train
    assert np.array_equal(train.targets[0], np.where(HALVES, -1, 2))
    assert train.ids[-1] == "unlabelled/x.png"
    data = load_data(load(folder, unlabeled=str(tmp_path / "more")), Data(name="x", val=0.25, test=0.25))
    assert (len(data.train), len(data.train.labeled)) == (3, 2)


def test_crops_masks_like_images_without_blending(folder: Path) -> None:
    """The image is a picture of its mask, so both must match after cropping and resizing."""
    wide = np.zeros((20, 50), dtype=np.uint8)
    wide[:, 20:31] = 2
    for number in range(4):
        save(folder / "images" / f"{number}.jpg", photo())
        (folder / "images" / f"{number}.jpg").unlink()
        save(folder / "images" / f"{number}.png", np.stack([wide * 100] * 3, axis=-1))
        save(folder / "masks" / f"{number}.png", wide)
    data = load(folder)
    pixels, target = data.train.inputs[0, 0], data.train.targets[0]
    assert set(np.unique(target)) == {0, 2}
    assert (target[pixels > 190] == 2).all()
    assert (target[pixels < 10] == 0).all()


def test_rotates_image_by_exif_to_match_mask(folder: Path) -> None:
    image = Image.fromarray(np.zeros((10, 20, 3), dtype=np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "images" / "0.jpg", exif=exif)
    save(folder / "masks" / "0.png", np.ones((20, 10), dtype=np.uint8))
    assert (load(folder).train.targets[0] == 1).all()


def test_black_and_white_masks_of_one_class(folder: Path) -> None:
    for number in range(4):
        save(folder / "masks" / f"{number}.png", HALVES * 255)
    data = load(folder, classes=["crack"])
    assert data.classes == ("background", "crack")
    assert np.array_equal(data.train.targets[0], HALVES)


def test_custom_values(folder: Path) -> None:
    for number in range(4):
        save(folder / "masks" / f"{number}.png", HALVES * 7 + 3)
    data = load(folder, values=[10, 3], classes=["a", "b"], ignore=[])
    assert np.array_equal(data.train.targets[0], 1 - HALVES)


def test_split_folders_and_class_file(folder: Path) -> None:
    for split in ("train", "val", "test"):
        for kind in ("images", "masks"):
            (folder / split).mkdir(exist_ok=True)
            for number, file in enumerate(sorted((folder / kind).iterdir())):
                target = folder / split / kind / f"{split}{number}{file.suffix}"
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(file.read_bytes())
    for kind in ("images", "masks"):
        for file in (folder / kind).iterdir():
            file.unlink()
        (folder / kind).rmdir()
    (folder / "classes.txt").write_text("none\ncat\n\ndog\n")
    data = load(folder, classes=None)
    assert data.val is not None
    assert data.test is not None
    assert (data.train.ids[0], data.val.ids[0], data.test.ids[0]) == (
        "train/train0",
        "val/val0",
        "test/test0",
    )


def damage(folder: Path, what: str) -> None:
    if what == "value":
        save(folder / "masks" / "2.png", HALVES * 9)
    elif what == "image":
        (folder / "images" / "2.jpg").unlink()
    elif what == "mask":
        (folder / "masks" / "2.png").unlink()
    elif what == "size":
        save(folder / "masks" / "2.png", np.zeros((4, 5), dtype=np.uint8))
    elif what == "colors":
        save(folder / "masks" / "2.png", photo())
    elif what == "half":
        whole = (folder / "masks" / "2.png").read_bytes()
        (folder / "masks" / "2.png").write_bytes(whole[: len(whole) // 2])
    elif what == "duplicate":
        save(folder / "images" / "2.png", photo())
    elif what == "folder":
        for file in (folder / "masks").iterdir():
            file.unlink()
        (folder / "masks").rmdir()


@pytest.mark.parametrize(
    ("what", "message", "where"),
    [
        ("value", "unknown value 9 in a mask; the classes are 0 to 2", "2.png"),
        ("image", "the mask has no image", "2.png"),
        ("mask", "the image has no mask", "2.jpg"),
        ("size", "5 x 4 pixels, its image 8 x 8", "2.png"),
        ("colors", "contains colors", "2.png"),
        ("half", "cannot be read", "2.png"),
        ("duplicate", "duplicate name 2", "2.png"),
        ("folder", "has no folder masks", "data.path"),
    ],
)
def test_rejects_invalid_files(folder: Path, what: str, message: str, where: str) -> None:
    damage(folder, what)
    with pytest.raises(DataError, match=message) as caught:
        load(folder)
    assert where in caught.value.where


def test_missing_mask_may_mean_unlabeled(folder: Path) -> None:
    damage(folder, "mask")
    assert (load(folder, missing="unlabeled").train.targets[2] == -1).all()


@pytest.mark.parametrize(
    "options", [{"classes": None}, {"classes": ["a", "a"]}, {"values": [0, 1]}, {"channels": 2}]
)
def test_rejects_invalid_classes_and_values(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises((DataError, UsageError), match=r"class names|data\.values|channels") as caught:
        load(folder, **options)
    assert isinstance(caught.value, MtkdError)
    assert caught.value.hint


def test_class_file_with_byte_order_mark_or_json(folder: Path) -> None:
    for text in ("\ufeffnone\r\ncat\r\ndog\r\n", '["none", "cat", "dog"]'):
        (folder / "classes.txt").write_text(text)
        assert load(folder, classes=None).classes == ("none", "cat", "dog")


def test_ignored_value_is_not_a_class(folder: Path) -> None:
    with pytest.raises(UsageError, match="the pixel value 1 is the class 'cat' and ignored") as caught:
        load(folder, ignore=[1])
    assert caught.value.where == "data.ignore"
    assert (load(folder, ignore=[1], values=[0, 2, 3]).train.targets[1] == -HALVES.astype(int)).all()


@pytest.mark.parametrize("options", [{"ignore": ["1"]}, {"values": [0, 1.5, 2]}, {"values": [0, 1, 10**9]}])
def test_rejects_other_values_of_pixels(folder: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is not the value of a pixel") as caught:
        load(folder, **options)
    assert caught.value.where == f"data.{next(iter(options))}"


OPTIONS: dict[str, Any] = {"size": SIZE, "channels": 3, "on_bad_sample": "error", "workers": 1}


def test_reads_pascal_voc_layout(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("a", "b", "c"):
        save(root / "JPEGImages" / f"{name}.jpg", photo())
        save(root / "SegmentationClass" / f"{name}.png", np.where(HALVES, 20, 255).astype(np.uint8))
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    data = VocSegmentation(str(tmp_path), "2012", unlabeled=True, **OPTIONS).load(cache_in(Path()))
    assert (len(data.classes), data.classes[20]) == (21, "tvmonitor")
    assert data.train.ids == ("a", "unlabelled/c")
    assert np.array_equal(data.train.targets[0], np.where(HALVES, 20, -1))
    (root / "SegmentationClass" / "a.png").unlink()
    with pytest.raises(DataError, match="no file") as caught:
        VocSegmentation(str(tmp_path), "2012", unlabeled=False, **OPTIONS).load(cache_in(Path()))
    assert "sample a" in caught.value.where
    (lists / "train.txt").write_text("../../../a\n")
    with pytest.raises(DataError, match="leads outside"):
        VocSegmentation(str(tmp_path), "2012", unlabeled=False, **OPTIONS).load(cache_in(Path()))


def test_reads_oxford_pet_layout(tmp_path: Path) -> None:
    root = tmp_path / "oxford-iiit-pet"
    trimap = np.where(HALVES, 1, 2).astype(np.uint8)
    trimap[0] = 3
    for name in ("Pug_1", "Pug_2"):
        save(root / "images" / f"{name}.jpg", photo())
        save(root / "annotations" / "trimaps" / f"{name}.png", trimap)
    (root / "annotations" / "trainval.txt").write_text("#Image CLASS-ID\nPug_1 1 1 1\n")
    (root / "annotations" / "test.txt").write_text("Pug_2 1 1 1\n")
    data = OxfordPet(str(tmp_path), **OPTIONS).load(cache_in(Path()))
    assert data.classes == ("background", "pet")
    assert np.array_equal(data.train.targets[0][1:], HALVES[1:])
    assert (data.train.targets[0][0] == -1).all()


@pytest.mark.parametrize("source", [VocSegmentation, OxfordPet])
def test_does_not_download_missing_data_set(tmp_path: Path, source: Any) -> None:
    more = {"year": "2012", "unlabeled": False} if source is VocSegmentation else {}
    with pytest.raises(DataError, match="cannot be read") as caught:
        source(str(tmp_path), **more, **OPTIONS).load(cache_in(Path()))
    assert "does not download" in caught.value.hint
