"""Data source `hf-dataset`: unclear tables and damaged files are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest

from mtkd_cli.errors import DataError, MtkdError, UsageError
from tests.fixtures import own_data
from tests.fixtures.arrow_tables import (
    image_table,
    load,
    save_splits,
    write_arrow,
    write_parquet,
)
from tests.fixtures.shards import encoded


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_STORE", "store")


def test_label_that_is_no_class_is_named() -> None:
    write_arrow(Path("x.arrow"), image_table(4, label=[0, 1, 7, 0]))
    with pytest.raises(DataError, match="label '7' is not one of the 2 classes") as caught:
        load("x.arrow")
    assert caught.value.where == "x.arrow: row 2"
    write_arrow(Path("x.arrow"), image_table(2, label=[[0], [1]]))
    with pytest.raises(DataError, match="not a class number") as caught:
        load("x.arrow")
    assert caught.value.where == "x.arrow: row 0"


def test_missing_and_damaged_images() -> None:
    images = [{"bytes": encoded(n), "path": None} for n in range(5)]
    images[1]["bytes"] = b"no image"
    write_parquet(Path("a.parquet"), image_table(5, images=images))
    with pytest.raises(DataError, match="cannot be read") as caught:
        load("a.parquet")
    assert caught.value.where == "a.parquet: row 1"
    write_parquet(Path("b.parquet"), image_table(5, images=[*images[:1], None, *images[2:]]))
    for name in ("a", "b"):
        data = load(f"{name}.parquet", on_bad_sample="skip")
        assert data.train.ids == ("0", "2", "3", "4")
        assert data.train.targets.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ({"bytes": None, "path": "../../secret.png"}, "leads outside"),
        ({"bytes": None, "path": "/etc/hostname"}, "leads outside"),
        ({"bytes": None, "path": None}, "no file name"),
        ({"bytes": encoded(0), "path": "0.png"}, "no file name"),
    ],
)
def test_invalid_file_names_are_errors(second: Any, what: str) -> None:
    own_data.image(Path("d/0.png"))
    write_parquet(Path("d/x.parquet"), image_table(2, images=[{"bytes": None, "path": "0.png"}, second]))
    with pytest.raises(DataError, match=what) as caught:
        load("d")
    assert "x.parquet: row 1" in caught.value.where


def test_image_outside_of_a_file_with_images_is_an_error() -> None:
    images = [{"bytes": encoded(0), "path": "a"}, {"bytes": None, "path": "b.png"}]
    write_parquet(Path("x.parquet"), image_table(2, images=images))
    with pytest.raises(DataError, match=r"b\.png is not in the file"):
        load("x.parquet")


@pytest.mark.parametrize(
    ("columns", "options", "what"),
    [
        ({}, {"label": "nowhere"}, "no column 'nowhere'"),
        ({}, {"id": "nowhere"}, "no column 'nowhere'"),
        ({}, {"image": "label"}, "'label' has no images"),
        (
            {"label": None, "fine_label": [0, 1], "cls": [0, 1], "class": [0, 1]},
            {},
            "may be the label: cls, class",
        ),
        ({"mask": [b"", b""]}, {"image": None}, "may be the image: image, mask"),
    ],
)
def test_unclear_columns_are_errors(columns: dict[str, Any], options: dict[str, Any], what: str) -> None:
    write_arrow(Path("x.arrow"), image_table(2, features=None, **columns))
    with pytest.raises(MtkdError, match=what) as caught:
        load("x.arrow", **options)
    assert "x.arrow" in caught.value.where
    assert caught.value.hint


def test_table_without_images_is_an_error() -> None:
    write_parquet(Path("x.parquet"), pyarrow.table({"a": [1, 2]}))
    with pytest.raises(DataError, match="no column of images"):
        load("x.parquet")


@pytest.mark.parametrize("name", ["x.arrow", "x.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_files_are_errors(name: str, share: float) -> None:
    path = (write_arrow if name == "x.arrow" else write_parquet)(Path(name), image_table(6))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="cannot be read") as caught:
        load(name)
    assert name in caught.value.where


@pytest.mark.parametrize("position", [-4, 0, 4, 8])
def test_damaged_offsets_are_errors(position: int) -> None:
    table = image_table(3, label=["cat", "dog", "cat"], features=None)
    path = write_arrow(Path("x.arrow"), table)
    lengths = [len(encoded(number)) for number in range(3)]
    offsets = np.cumsum([0, *lengths], dtype=np.int32).tobytes()
    content = path.read_bytes()
    start = content.index(offsets) + 4 + position
    path.write_bytes(content[:start] + b"\xff\xff\xff\xff" + content[start + 4 :])
    with pytest.raises(DataError, match="cannot be read"):
        load("x.arrow")


def test_two_columns_with_the_same_name_are_an_error() -> None:
    table = image_table(2)
    write_arrow(Path("x.arrow"), table.append_column("label", table["label"]))
    with pytest.raises(DataError, match="same name"):
        load("x.arrow")


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("state.json", "{", "cannot be read"),
        ("state.json", "[]", "cannot be read"),
        ("state.json", json.dumps({"_data_files": [{"filename": "../x.arrow"}]}), "leads outside"),
        (
            "state.json",
            json.dumps({"_data_files": [{"filename": "gone.arrow"}]}),
            "no file d/train/gone.arrow",
        ),
        (
            "state.json",
            json.dumps({"_data_files": [], "_indices_data_files": [{"filename": "i"}]}),
            "selected",
        ),
        ("../dataset_dict.json", json.dumps({"splits": ["../train"]}), "leads outside"),
        ("../dataset_dict.json", json.dumps({"splits": ["test"]}), "none is train"),
    ],
)
def test_invalid_saved_data_sets_are_errors(file: str, text: str, what: str) -> None:
    save_splits(Path("d"), {"train": [image_table(2)], "test": [image_table(2)]})
    Path("d/train", file).write_text(text)
    with pytest.raises(DataError, match=what) as caught:
        load("d")
    assert caught.value.hint


def test_class_names_must_be_names() -> None:
    write_arrow(Path("x.arrow"), image_table(2))
    with pytest.raises(UsageError, match="duplicate class"):
        load("x.arrow", classes=["a", "a"])
