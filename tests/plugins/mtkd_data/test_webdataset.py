"""Data source `webdataset`: splits, labels, ids, and the same bits as a folder of the same images."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.guess_shards import guess_webdataset
from mtkd_data.image_folder import ImageFolder
from mtkd_data.webdataset import WebDataset
from tests.fixtures import own_data
from tests.fixtures.shards import encoded, samples, write_tar

DECODING: dict[str, Any] = {"size": 8, "channels": 3, "on_bad_sample": "error", "workers": 2}


def load(path: str, **options: Any) -> SourceData:
    keys = dict.fromkeys(("val_path", "test_path", "unlabeled", "label", "image", "classes"))
    return WebDataset(path, **{**keys, "ids": "entry", **DECODING, **options}).load(cache_in(Path()))


@pytest.mark.parametrize("decoded", ["memory", "disk", "none"])
def test_images_labels_and_ids(decoded: str) -> None:
    for shard in range(3):
        write_tar(Path("d", f"{shard}.tar"), samples(4, 4 * shard, classes=3))
    data = load("d", cache=decoded)
    assert data.classes == ("0", "1", "2")
    assert data.train.ids == tuple(f"{n:04}.png" for n in range(12))
    assert data.train.targets.tolist() == [n % 3 for n in range(12)]
    assert (data.val, data.test) == (None, None)
    for row in (0, 5, 11):
        Path("x.png").write_bytes(encoded(row))
        left = (row % 3) / 2  # images of 12 x (12 + n % 3) pixels: the middle square
        with Image.open("x.png") as image:
            expected = image.resize((8, 8), Image.Resampling.BICUBIC, (left, 0, left + 12, 12))
        np.testing.assert_array_equal(
            data.train.read(np.array([row]))[0], np.asarray(expected).transpose(2, 0, 1)
        )


def test_splits_in_one_folder_with_unlabeled_shards() -> None:
    for number, split in enumerate(("train", "validation", "test", "unlabeled")):
        write_tar(Path("d", f"photos-{split}-000.tar"), samples(4, 10 * number))
    data = load("d")
    assert data.val is not None
    assert data.test is not None
    assert data.train.ids[:1] == ("train/0000.png",)
    assert data.train.ids[4:] == tuple(f"unlabelled/{n:04}.png" for n in range(30, 34))
    assert data.train.targets.tolist() == [0, 1, 0, 1, -1, -1, -1, -1]
    assert data.val.ids == tuple(f"val/{n:04}.png" for n in range(10, 14))
    assert data.test.ids == tuple(f"test/{n:04}.png" for n in range(20, 24))


def test_paths_of_the_splits() -> None:
    for number, name in enumerate("abc"):
        write_tar(Path("d", f"{name}.tar"), samples(4, 10 * number))
    data = load("d/a.tar", val_path="d/[b].tar", unlabeled="d/c.tar")
    assert data.val is not None
    assert (len(data.train), len(data.val), data.test) == (8, 4, None)
    with pytest.raises(DataError, match="belongs to train and val") as caught:
        load("d", val_path="d/b.tar")
    assert caught.value.where == "d/b.tar"
    with pytest.raises(DataError, match="no file") as caught:
        load("d/a.tar", test_path="d/nowhere.tar")
    assert caught.value.where == "data.test_path"


def test_class_names_from_labels_options_and_files() -> None:
    write_tar(Path("d/0.tar"), {"0.png": encoded(0), "0.cls": "dog", "1.png": encoded(1), "1.cls": "cat"})
    assert load("d").classes == ("cat", "dog")
    assert load("d").train.targets.tolist() == [1, 0]
    assert load("d", classes=["dog", "owl", "cat"]).train.targets.tolist() == [0, 2]
    Path("d/classes.txt").write_text("owl\ndog\ncat\n")
    assert load("d").classes == ("owl", "dog", "cat")
    assert load("d/*.tar").classes == ("owl", "dog", "cat")


def test_missing_labels() -> None:
    write_tar(Path("d/0.tar"), {**samples(2), "2.png": encoded(2), "3.png": encoded(3), "3.cls": "-1"})
    assert load("d").train.targets.tolist() == [0, 1, -1, -1]
    write_tar(Path("e/0.tar"), {"2.png": encoded(2)})
    assert load("e", classes=["cat", "dog"]).train.targets.tolist() == [-1]
    with pytest.raises(DataError, match="no classes") as caught:
        load("e")
    assert "data.label" in caught.value.hint


@pytest.mark.parametrize(
    ("label", "options"),
    [("7", {"classes": ["a", "b"]}), ("cow", {"classes": ["a", "b"]}), ("x", {}), ("-3", {})],
)
def test_label_that_is_no_class_names_shard_and_sample(label: str, options: dict[str, Any]) -> None:
    write_tar(Path("train.tar"), samples(4))
    write_tar(Path("val.tar"), {"v/1.png": encoded(9), "v/1.cls": label})
    with pytest.raises(DataError, match=f"label '{label}' is not one of the 2 classes") as caught:
        load("train.tar", val_path="val.tar", **options)
    assert caught.value.where == "val.tar: v/1.png"


def test_same_name_in_two_shards_is_an_error_unless_ids_have_the_shard() -> None:
    for number in range(2):
        write_tar(Path("d", f"{number}.tar"), samples(2))
    with pytest.raises(DataError, match=r"same id '0000.png'") as caught:
        load("d")
    assert caught.value.where == "d/0.tar: 0000.png and d/1.tar: 0000.png"
    assert "data.ids: shard" in caught.value.hint
    assert load("d", ids="shard").train.ids == ("0/0000.png", "0/0001.png", "1/0000.png", "1/0001.png")


def test_unreadable_images_are_errors_or_skipped() -> None:
    write_tar(Path("0.tar"), {**samples(3), "bad.png": encoded(0)[:99], "bad.cls": "0", **samples(2, 3)})
    with pytest.raises(DataError, match="cannot be read") as caught:
        load("0.tar")
    assert caught.value.where == "0.tar: bad.png"
    data = load("0.tar", on_bad_sample="skip")
    assert data.train.ids == tuple(f"{n:04}.png" for n in range(5))
    assert data.train.targets.tolist() == [0, 1, 0, 1, 0]


def test_shard_without_images_is_an_error() -> None:
    write_tar(Path("0.tar"), {"0.cls": "1"})
    with pytest.raises(DataError, match="train split has no images"):
        load("0.tar")


def test_remote_shards_are_refused() -> None:
    with pytest.raises(UsageError, match="not a local file"):
        load("https://host/{000..099}.tar")


def assert_same(one: SourceData, other: SourceData) -> None:
    assert one.classes == other.classes
    for split in ("train", "val", "test"):
        first, second = getattr(one, split), getattr(other, split)
        assert first.ids == second.ids
        assert first.decoder == second.decoder
        np.testing.assert_array_equal(first.targets, second.targets)
        np.testing.assert_array_equal(first.contents, second.contents)
        np.testing.assert_array_equal(first.read(slice(None)), second.read(slice(None)))
        np.testing.assert_array_equal(first.frames.sizes, second.frames.sizes)


@pytest.mark.parametrize("decoded", ["disk", "none"])
def test_archive_of_a_folder_gives_the_same_samples(decoded: str) -> None:
    for split in ("train", "val", "test"):
        own_data.class_folders(Path("photos", split), ("cat", "dog", "a.b"), count=12)
        own_data.image(Path("photos", split, "cat/deep/1.x.jpg"))
        command = ["tar", "--sort=name", "-cf", f"tars-{split}.tar", "-C", f"photos/{split}", "."]
        subprocess.run(command, check=True)
    folder = ImageFolder(path="photos", unlabeled=None, **DECODING, cache=decoded).load(cache_in(Path()))
    assert_same(folder, load("tars-*.tar", label="folder", cache=decoded))


def test_order_of_shards_is_that_of_their_names_or_of_the_pattern() -> None:
    for name in ("b", "a", "c"):
        write_tar(Path("d", f"{name}.tar"), {f"{name}.png": encoded(0), f"{name}.cls": "1"})
    assert load("d").train.ids == ("a.png", "b.png", "c.png")
    assert load("d/{c,a}.tar").train.ids == ("c.png", "a.png")


def test_init_recognizes_shards() -> None:
    for split in ("train", "val"):
        write_tar(Path("d", f"{split}-0.tar"), samples(4, classes=3))
    (found,) = guess_webdataset(Path("d"), "")
    assert found.options == {"path": "d", "size": 12, "channels": 3}
    assert found.splits == ("val",)
    assert found.reason == "1 tar shards, labels such as 0, 1, 2"
    Path("d/classes.txt").write_text("a\nb\nc")
    assert guess_webdataset(Path("d"), "")[0].classes == ("a", "b", "c")
    write_tar(Path("e.tar"), {"cat/1.png": encoded(1), "dog/1.png": encoded(2)})
    assert guess_webdataset(Path("e.tar"), "")[0].options["label"] == "folder"
    write_tar(Path("f.tar"), {"1.png": encoded(1), "1.json": json.dumps({"species": "owl"})})
    assert guess_webdataset(Path("f.tar"), "")[0].options["label"] == "FILL-IN"
    own_data.class_folders(Path("photos"), count=1)
    assert guess_webdataset(Path("photos"), "") == []
    assert guess_webdataset(Path("d/classes.txt"), "") == []
