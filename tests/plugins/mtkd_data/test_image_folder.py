"""Data source `image-folder`: layouts, image formats, damaged files, order."""

from __future__ import annotations

import logging
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.reading import images as decoding
from mtkd_cli.reading.images import decode
from mtkd_cli.store.data_cache import StoreCache
from mtkd_cli.testing import cache_in
from mtkd_data.image_folder import ImageFolder

RNG = np.random.default_rng(0)


def save(path: Path, shape: tuple[int, ...] = (12, 12, 3), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(path, **options)
    return path


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", str(tmp_path / "store"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with two classes of three images each."""
    for label in ("cat", "dog"):
        for number in range(3):
            save(tmp_path / "data" / label / f"{number}.png")
    return tmp_path / "data"


def load(root: Path, **options: object) -> SourceData:
    settings = {"unlabeled": None, "size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}
    return ImageFolder(**{"path": str(root), **settings, **options}).load(cache_in(root))  # type: ignore[arg-type]


def test_class_folders(root: Path) -> None:
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert data.train.ids[0] == "cat/0.png"
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.train.inputs.shape == (6, 3, 8, 8)
    assert data.val is None
    assert data.test is None


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    for split in ("train", val, "test"):
        for label in ("cat", "dog"):
            save(tmp_path / "d" / split / label / "a.png")
    data = load(tmp_path / "d")
    assert data.val is not None
    assert data.test is not None
    assert data.train.ids == ("train/cat/a.png", "train/dog/a.png")
    assert data.val.ids == ("val/cat/a.png", "val/dog/a.png")
    assert len(data.test) == 2


def test_rejects_splits_without_train(tmp_path: Path) -> None:
    for split in ("val", "test"):
        save(tmp_path / "d" / split / "cat" / "a.png")
    with pytest.raises(DataError, match="but no train"):
        load(tmp_path / "d")


@pytest.mark.parametrize("inside", [True, False])
def test_unlabeled_folder_at_any_depth(root: Path, tmp_path: Path, inside: bool) -> None:
    extra = (root if inside else tmp_path) / "more"
    save(extra / "x" / "y" / "a.png")
    save(extra / "b.jpg")
    data = load(root, unlabeled=str(extra))
    assert data.classes == ("cat", "dog")
    assert data.train.ids[-2:] == ("unlabelled/b.jpg", "unlabelled/x/y/a.png")
    assert data.train.targets.tolist() == [0, 0, 0, 1, 1, 1, -1, -1]


def test_unlabeled_folder_belongs_to_train_only(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            save(tmp_path / "d" / split / label / "a.png")
    save(tmp_path / "more" / "a.png")
    data = load(tmp_path / "d", unlabeled=str(tmp_path / "more"))
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (3, 2)


def test_rejects_class_missing_from_train(tmp_path: Path) -> None:
    for folder in ("train/cat", "train/dog", "val/cat", "val/cow"):
        save(tmp_path / "d" / folder / "a.png")
    with pytest.raises(DataError, match="'cow' is in val but not in train"):
        load(tmp_path / "d")


def test_rejects_empty_class_folder(root: Path) -> None:
    (root / "cow").mkdir()
    with pytest.raises(DataError, match="'cow' has no PNG, JPEG, WebP, BMP or GIF images"):
        load(root)


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


def test_folder_names_that_are_not_utf8_are_escaped(root: Path) -> None:
    save(root / os.fsdecode(b"caf\xe9") / "a.png")
    data = load(root)
    assert data.classes == ("caf\\udce9", "cat", "dog")
    assert data.train.ids[0] == "caf\\udce9/a.png"
    assert data.train.targets[0] == 0
    assert all(name.encode() for name in (*data.classes, *data.train.ids))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"path": "nowhere"}, "no folder nowhere"), ({"unlabeled": "nowhere"}, "no folder nowhere")],
)
def test_rejects_missing_folder(root: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(root, **options)


def test_rejects_two_channels(root: Path) -> None:
    with pytest.raises(UsageError, match="invalid number of channels 2"):
        load(root, channels=2)


def test_upper_case_suffixes_and_hidden_files(root: Path) -> None:
    save(root / "cat" / "BIG.JPG", format="JPEG")
    save(root / "dog" / "a.JpEg", format="JPEG")
    (root / "cat" / "._0.png").write_bytes(b"no image")
    (root / "cat" / "notes.txt").write_text("no image")
    save(root / "cat" / ".thumbs" / "a.png")
    save(root / ".git" / "a.png")
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert [i for i in data.train.ids if "a" in i.rpartition("/")[2].lower()] == ["dog/a.JpEg"]
    assert len(data.train) == 8


def test_follows_symlinks_without_loops(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "z.png")
    (root / "cow").symlink_to(tmp_path / "elsewhere")
    (root / "cat" / "loop").symlink_to(root / "cat")
    (root / "cat" / "up").symlink_to(root / "cat" / "up")
    (root / "dog" / "self.png").symlink_to(root / "dog" / "self.png")
    data = load(root)
    assert data.classes == ("cat", "cow", "dog")
    assert len(data.train) == 7


def test_result_is_independent_of_workers(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for workers in (1, 7):
        monkeypatch.setenv("MTKD_STORE", str(tmp_path / f"store{workers}"))
        results.append(load(root, workers=workers).train)
    assert results[0].ids == results[1].ids
    np.testing.assert_array_equal(results[0].inputs, results[1].inputs)


def test_decodes_again_only_if_a_file_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    real = decoding.decode
    monkeypatch.setattr(decoding, "decode", lambda *what: calls.append(what[0]) or real(*what))
    first = load(root).train
    again = load(root).train
    assert len(calls) == 6
    np.testing.assert_array_equal(first.inputs, again.inputs)
    save(root / "cat" / "0.png")
    load(root)
    assert len(calls) == 12


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


def test_file_names_that_are_not_utf8(root: Path) -> None:
    not_utf8 = Path(str(root / "cat") + "/" + b"\xff.png".decode("utf-8", "surrogateescape"))
    try:
        save(not_utf8, format="PNG")
    except (OSError, UnicodeError):
        return  # the file system does not allow such names
    assert "cat/\\udcff.png" in load(root).train.ids


@pytest.mark.parametrize("target", ["..", "../dog", "../dog/deep", "../../elsewhere"])
def test_rejects_folder_links_out_of_class(root: Path, tmp_path: Path, target: str) -> None:
    """``cat/loop -> ..`` would label every dog as a cat."""
    save(tmp_path / "elsewhere" / "z.png")
    save(root / "dog" / "deep" / "y.png")
    (root / "cat" / "loop").symlink_to(target)
    with pytest.raises(DataError, match="leads outside") as caught:
        load(root)
    assert caught.value.where == str(root / "cat" / "loop")
    assert caught.value.hint


@pytest.mark.parametrize("target", ["dog", "dog/deep", ".", ".."])
def test_rejects_class_folder_linked_to_other_class(root: Path, target: str) -> None:
    save(root / "dog" / "deep" / "y.png")
    (root / "cow").symlink_to(target)
    with pytest.raises(DataError, match="the link leads to") as caught:
        load(root)
    assert caught.value.where == str(root / "cow")


def test_rejects_linked_image_of_another_class(root: Path, tmp_path: Path) -> None:
    save(tmp_path / "elsewhere" / "z.png")
    (root / "cat" / "z.png").symlink_to(tmp_path / "elsewhere" / "z.png")
    before = len(load(root).train)
    (tmp_path / "linked").symlink_to(root)
    assert len(load(tmp_path / "linked").train) == before
    (root / "cat" / "dog.png").symlink_to(next((root / "dog").glob("*.png")))
    with pytest.raises(DataError, match="image of another class") as caught:
        load(root)
    assert caught.value.where == str(root / "cat" / "dog.png")


def split_folders(root: Path, *names: str) -> Path:
    """Write split folders with the classes cat and dog, of two images each."""
    for name in names:
        for label in ("cat", "dog"):
            for number in range(2):
                save(root / name / label / f"{number}.png")
    return root


@pytest.mark.parametrize("name", ["unlabeled", "unlabelled"])
def test_unlabeled_folder_beside_splits_is_used_and_said(tmp_path: Path, name: str) -> None:
    root = split_folders(tmp_path / "d", "train", "val")
    save(root / name / "deep" / "x.png")
    said: list[str] = []
    settings = {"size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}
    data = ImageFolder(str(root), None, **settings).load(StoreCache(tmp_path, say=said.append))
    assert data.train.ids[-1] == "unlabelled/deep/x.png"
    assert data.train.targets.tolist() == [0, 0, 1, 1, -1]
    assert any(f"{root / name} is used for training without labels" in line for line in said)
    assert len(load(root, unlabeled="none").train) == 4
    save(tmp_path / "more" / "y.png")
    assert load(root, unlabeled=str(tmp_path / "more")).train.ids[-1] == "unlabelled/y.png"


def test_two_unlabeled_folders_are_an_error(tmp_path: Path) -> None:
    root = split_folders(tmp_path / "d", "train")
    for name in ("unlabeled", "unlabelled"):
        save(root / name / "x.png")
    with pytest.raises(UsageError, match="may be the unlabeled images"):
        load(root)


def test_unlabeled_folder_beside_class_folders_is_a_class_and_said(root: Path) -> None:
    save(root / "unlabeled" / "x.png")
    said: list[str] = []
    settings = {"size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}
    data = ImageFolder(str(root), None, **settings).load(StoreCache(root.parent, say=said.append))
    assert data.classes == ("cat", "dog", "unlabeled")
    assert "is a class" in said[0]


def test_split_without_class_folders_has_no_labels(tmp_path: Path) -> None:
    root = split_folders(tmp_path / "d", "val", "test")
    for number in range(3):
        save(root / "train" / f"{number}.png")
    data = load(root)
    assert data.classes == ("cat", "dog")
    assert data.train.ids == ("train/0.png", "train/1.png", "train/2.png")
    assert data.train.targets.tolist() == [-1, -1, -1]
    assert data.val is not None
    assert data.val.targets.tolist() == [0, 0, 1, 1]


def test_flat_folder_needs_class_names(tmp_path: Path) -> None:
    save(tmp_path / "d" / "a.png")
    with pytest.raises(DataError, match="0 class folders") as caught:
        load(tmp_path / "d")
    assert "data.classes" in caught.value.hint
    data = load(tmp_path / "d", classes=["cat", "dog"])
    assert (data.classes, data.train.ids, data.train.targets.tolist()) == (("cat", "dog"), ("a.png",), [-1])


def test_class_names_by_option(root: Path) -> None:
    data = load(root, classes=["owl", "dog", "cat"])
    assert data.classes == ("owl", "dog", "cat")
    assert data.train.ids[0] == "dog/0.png"
    assert data.train.targets.tolist() == [1, 1, 1, 2, 2, 2]
    with pytest.raises(DataError, match=r"class 'dog' is in data but not in data\.classes"):
        load(root, classes=["owl", "cat"])
