"""Data source `image-table`: images and labels of each row, and errors in tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import MtkdError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.image_table import ImageTable

LEVELS = (0, 100, 200)


@pytest.fixture(autouse=True)
def images() -> None:
    Path("pictures").mkdir()
    for level in LEVELS:
        Image.new("L", (10, 10), level).save(f"pictures/{level}.png")


def load(text: str, task: str = "regression", **options: Any) -> SourceData:
    Path("pictures/t.csv").write_text(text)
    defaults: dict[str, Any] = {"path": "pictures/t.csv", "target": None, "file": None, "images": None}
    more = {"size": 8, "channels": 1, "on_bad_sample": "error", "workers": 1}
    return ImageTable(task, **(defaults | more | options)).load(cache_in(Path()))


def test_reads_image_and_values_of_each_row() -> None:
    found = load("file,age,height\n200.png,1.5,2\n0.png,,3\n")
    assert found.classes == ("age", "height")
    assert found.train.inputs[:, 0, 0, 0].tolist() == [200, 0]
    np.testing.assert_array_equal(found.train.targets, [[1.5, 2], [np.nan, 3]])
    assert found.train.ids == ("200.png", "0.png")


def test_reads_classes_or_several_labels() -> None:
    text = "kind,where,tall\ndark,0.png,1\nlight,200.png,0\n,100.png,\n"
    classes = load(text, "classification", file="where", target=["kind"])
    assert (classes.classes, classes.train.targets.tolist()) == (("dark", "light"), [0, 1, -1])
    labels = load(text, "multilabel", file="where", target=["tall"], images="pictures")
    np.testing.assert_array_equal(labels.train.targets, [[1], [0], [np.nan]])


def test_reads_decimal_commas_and_words_for_missing_labels() -> None:
    found = load("file;age\n200.png;1,5\n0.png;NA\n100.png;1.000\n")
    np.testing.assert_array_equal(found.train.targets, [[1.5], [np.nan], [1000]])
    assert "decimal commas" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("file,y\n0.png,1\n7.png,1\n", {}, "no file pictures/7.png|row 3, column 'file'"),
        ("file,y\n0.png,1\n,1\n", {}, "no file name|row 3"),
        ("file,y\n0.png,1\n0.png,1\n", {}, "duplicate file name 0.png|row 3"),
        ("file,y\n0.png,many\n", {}, "the target 'many' is not a number|row 2, column 'y'"),
        ("file,y\n0.png,2\n", {"task": "multilabel"}, "'2' is neither 0 nor 1|row 2"),
        ("file,y\n0.png,2\n", {"file": "fyle"}, "no column 'fyle'|did you mean 'file'?"),
        ("file,y\n0.png,2\n", {"channels": 2}, "invalid number of channels 2"),
    ],
)
def test_rejects_invalid_table(text: str, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(MtkdError) as caught:
        load(text, **options)
    message = "\n".join([caught.value.what, caught.value.where, caught.value.hint])
    assert all(part in message for part in expected.split("|")), message


def test_rejects_or_skips_unreadable_image(caplog: pytest.LogCaptureFixture) -> None:
    Path("pictures/100.png").write_bytes(b"no image")
    text = "file,y\n0.png,1\n100.png,2\n200.png,3\n"
    with pytest.raises(MtkdError, match="cannot be read"):
        load(text)
    found = load(text, on_bad_sample="skip")
    assert (found.train.ids, found.train.targets.tolist()) == (("0.png", "200.png"), [[1.0], [3.0]])
    assert "100.png" in caplog.text


@pytest.mark.parametrize("cell", ["../secret.png", "{here}/secret.png", "up/secret.png"])
def test_rejects_file_name_outside_folder(cell: str) -> None:
    Image.new("L", (10, 10)).save("secret.png")
    Path("pictures/up").symlink_to("..")
    with pytest.raises(MtkdError, match="leads outside the folder pictures") as caught:
        load(f"file,y\n0.png,1\n{cell.format(here=Path.cwd())},2\n")
    assert "row 3" in caught.value.where
    assert "data.images" in caught.value.hint


def test_accepts_absolute_file_name_inside_folder() -> None:
    here = Path.cwd()
    assert len(load(f"file,y\n{here}/pictures/0.png,1\n{here}/pictures/100.png,2\n").train) == 2
