"""Data source `hf-dataset`: saved data sets and Parquet files, read in place or copied."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image

from mtkd_cli.interfaces import FILL_IN, SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.guess_shards import guess_hf_dataset
from mtkd_data.guess_tables import guess_table
from mtkd_data.image_folder import ImageFolder
from tests.fixtures import own_data
from tests.fixtures.arrow_tables import (
    DECODING,
    image_table,
    load,
    save_split,
    save_splits,
    write_arrow,
    write_parquet,
)
from tests.fixtures.shards import encoded


def assert_images(data: SourceData, numbers: range) -> None:
    """Check that the training images are the encoded random images with these numbers, in order."""
    assert len(data.train) == len(numbers)
    for row, number in enumerate(numbers):
        Path("x.png").write_bytes(encoded(number))
        left = (number % 3) / 2  # images of 12 x (12 + n % 3) pixels: the middle square
        with Image.open("x.png") as image:
            expected = image.resize((8, 8), Image.Resampling.BICUBIC, (left, 0, left + 12, 12))
        found = data.train.read(np.array([row]))[0]
        np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def copies() -> list[Path]:
    """Return the files with copies of images in the store."""
    return list(Path().rglob("copies.npy"))


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", "store")


def test_saved_splits() -> None:
    save_splits(
        Path("d"),
        {
            "train": [image_table(7), image_table(5, 7)],
            "validation": [image_table(4, 20)],
            "test": [image_table(3, 30)],
        },
    )
    data = load("d")
    assert data.classes == ("cat", "dog")
    assert_images(data, range(12))
    assert data.train.ids == tuple(f"train/{row}" for row in range(12))
    assert data.train.targets.tolist() == [n % 2 for n in range(12)]
    assert data.val is not None
    assert data.test is not None
    assert (data.val.ids[-1], data.test.ids[-1]) == ("val/3", "test/2")
    assert copies() == []


def test_one_saved_split_and_paths_of_others() -> None:
    save_split(Path("a"), [image_table(5)])
    save_split(Path("b"), [image_table(4, 9)])
    assert load("a").train.ids == ("0", "1", "2", "3", "4")
    data = load("a", val_path="b")
    assert data.val is not None
    assert data.val.ids == ("val/0", "val/1", "val/2", "val/3")
    data = load("a", unlabeled="b")
    assert data.train.ids[5:] == tuple(f"unlabelled/{row}" for row in range(4))
    assert data.train.targets.tolist() == [0, 1, 0, 1, 0, -1, -1, -1, -1]


Write = Callable[[Path, pyarrow.Table], Path]


@pytest.mark.parametrize(
    ("ending", "write", "in_place"),
    [
        ("parquet", write_parquet, True),
        ("parquet", lambda path, table: write_parquet(path, table, rows=100), True),
        ("parquet", lambda path, table: write_parquet(path, table, compression="snappy"), False),
        ("parquet", lambda path, table: write_parquet(path, table, compression="zstd"), False),
        ("arrow", write_arrow, True),
        ("arrow", lambda path, table: write_arrow(path, table, compression="zstd"), False),
    ],
    ids=["parquet", "one-group", "snappy", "zstd", "arrow", "arrow-zstd"],
)
def test_images_are_read_in_place_or_copied_if_compressed(ending: str, write: Write, in_place: bool) -> None:
    text = ["a long caption of the image " * 30] * 10  # compressible, and between the images of two groups
    table = image_table(10, text=text)
    # an image that compresses, so that it is not stored as it is
    black = {"bytes": encoded(0)[:60] + bytes(5000), "path": None}
    table = pyarrow.concat_tables([table, image_table(1, images=[black], text=["x"])])
    write(Path(f"d/train.{ending}"), table)
    for _ in range(2):
        data = load("d", on_bad_sample="skip")
        assert_images(data, range(10))
    assert bool(copies()) != in_place


def test_arrow_file_format() -> None:
    table = image_table(5)
    with pyarrow.ipc.new_file("x.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=2)
    assert_images(load("x.arrow"), range(5))


@pytest.mark.parametrize("kind", [pyarrow.binary(), pyarrow.large_binary()])
def test_images_without_features_are_found_by_their_type(kind: pyarrow.DataType) -> None:
    table = pyarrow.table(
        {
            "number": [0.5] * 4,
            "img": pyarrow.array([encoded(n) for n in range(4)], kind),
            "Class": ["owl", "cat", "owl", None],
        }
    )
    write_parquet(Path("x.parquet"), table)
    data = load("x.parquet")
    assert_images(data, range(4))
    assert data.classes == ("cat", "owl")
    assert data.train.targets.tolist() == [1, 0, 1, -1]


def test_hub_layout_of_files() -> None:
    for number, name in enumerate(("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-1")):
        write_parquet(Path("d/data", f"{name}.parquet"), image_table(3, 3 * number))
    data = load("d")
    assert_images(data, range(6))
    assert data.val is not None
    assert data.val.ids == ("val/0", "val/1", "val/2")
    assert load("d/data/train-*.parquet", test_path="d/data/validation-*").test is not None


def test_labels_by_option_and_ids_by_column() -> None:
    table = image_table(4, coarse=pyarrow.array(["a", "b", "a", "b"]).dictionary_encode(), key=list("wxyz"))
    write_arrow(Path("x.arrow"), table)
    data = load("x.arrow", label="coarse", id="key")
    assert (data.classes, data.train.ids) == (("a", "b"), ("w", "x", "y", "z"))
    assert load("x.arrow", classes=["dog", "cat"]).train.targets.tolist() == [1, 0, 1, 0]


def test_numbers_are_names_if_the_features_say_so() -> None:
    features = {"label": {"names": ["1", "0"], "_type": "ClassLabel"}}
    write_arrow(Path("x.arrow"), image_table(4, features=features))
    data = load("x.arrow")
    assert data.classes == ("1", "0")
    assert data.train.targets.tolist() == [0, 1, 0, 1]


def test_names_of_another_split_are_matched_by_name() -> None:
    swapped = {"label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    write_arrow(Path("d/train.arrow"), image_table(4))
    write_arrow(Path("d/val.arrow"), image_table(4, 10, features=swapped))
    data = load("d")
    assert data.val is not None
    assert data.val.targets.tolist() == [1, 0, 1, 0]


def test_hidden_labels_of_a_test_split() -> None:
    save_splits(Path("d"), {"train": [image_table(4)], "test": [image_table(3, 9, label=[-1, -1, -1])]})
    assert (test := load("d").test) is not None
    assert test.targets.tolist() == [-1, -1, -1]
    write_arrow(Path("e/train.arrow"), image_table(4))
    write_arrow(Path("e/test.arrow"), image_table(3, 9, label=None))
    for label in (None, "label"):
        assert (test := load("e", label=label).test) is not None
        assert test.targets.tolist() == [-1, -1, -1]


def test_file_names_instead_of_images_give_the_same_as_the_folder() -> None:
    own_data.class_folders(Path("d/photos"), count=3)
    folder = ImageFolder("d/photos", None, **DECODING).load(cache_in(Path())).train
    names = [f"photos/{sample}" for sample in folder.ids]
    cells = [{"bytes": None, "path": name} for name in names]
    cells[1]["path"] = str(Path(names[1]).absolute().parents[2] / "d" / names[1])
    table = image_table(6, images=cells, label=folder.targets.tolist(), id=list(folder.ids))
    write_parquet(Path("d/train.parquet"), table)
    data = load("d/train.parquet", id="id").train
    assert data.ids == folder.ids
    np.testing.assert_array_equal(data.contents, folder.contents)
    np.testing.assert_array_equal(data.read(slice(None)), folder.read(slice(None)))


def test_other_saved_splits_are_said(caplog: pytest.LogCaptureFixture) -> None:
    save_splits(Path("d"), {"train": [image_table(2)], "extra": [image_table(2)]})
    with caplog.at_level(logging.WARNING, "mtkd"):
        assert len(load("d").train) == 2
    assert "not used: the splits extra" in caplog.text


def test_init_recognizes_tables_of_images() -> None:
    save_splits(Path("d"), {"train": [image_table(4)], "validation": [image_table(2)]})
    write_parquet(Path("p/train.parquet"), image_table(4, label=None))
    (found,) = guess_hf_dataset(Path("d"), "")
    assert found.options == {"path": "d", "size": 12, "channels": 3}
    assert (found.splits, found.classes) == (("val",), ("cat", "dog"))
    assert guess_hf_dataset(Path("p"), "")[0].options["label"] == FILL_IN
    assert guess_table(Path("p"), "") == [], "a table of images is not a table of numbers"
    write_parquet(Path("t/train.parquet"), pyarrow.table({"a": [1, 2]}))
    own_data.class_folders(Path("photos"), count=1)
    for path in ("t", "t/train.parquet", "photos", "d/dataset_dict.json"):
        assert guess_hf_dataset(Path(path), "") == []
