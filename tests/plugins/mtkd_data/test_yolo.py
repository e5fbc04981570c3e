"""Data source `yolo`: splits, label files, and errors in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.yolo import Yolo

CONTENT = "names: {0: cat, 1: no}\ntrain: images/train\nval: images/val\n"


@pytest.fixture(autouse=True)
def images() -> None:
    for name in ("train/a", "train/b", "train/c", "val/d"):
        file = Path("set/images") / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), "gray").save(file)
    label("train/a", "0 0.3 0.5 0.2 0.4\n1 0.5 0.5 1 1\n")
    label("train/b", "")
    label("val/d", "1 0.5 0.5 0.5 0.5\n")


def label(name: str, text: str) -> None:
    file = Path("set/labels") / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def load(content: str = CONTENT, **more: Any) -> SourceData:
    Path("set/data.yaml").write_text(content)
    options: dict[str, Any] = {"missing": "background", "unlabeled": None, "size": 20, "channels": 3}
    options |= {"fit": "stretch", "workers": 1, **more}
    return Yolo("set/data.yaml", **options).load(cache_in(Path()))


def test_boxes_of_each_split() -> None:
    data = load()
    assert data.classes == ("cat", "no")  # a text, not YAML's false
    assert data.train.ids == ("images/train/a.png", "images/train/b.png", "images/train/c.png")
    assert data.train.targets[0, 0].tolist() == pytest.approx([0.2, 0.3, 0.4, 0.7, 0])
    assert data.train.targets[0, 1].tolist() == pytest.approx([0, 0, 1, 1, 1])
    assert (data.train.targets[1:, :, 4] == -1).all()  # empty and missing files: no boxes
    assert data.val is not None
    assert data.val.targets[0, 0].tolist() == pytest.approx([0.25, 0.25, 0.75, 0.75, 1])
    assert data.test is None


def test_missing_file_may_mean_unlabeled() -> None:
    targets = load(missing="unlabeled").train.targets
    assert np.isnan(targets[2]).all()
    assert not np.isnan(targets[1]).any()


@pytest.mark.parametrize("names", ["[cat, no]", "{0: cat, 1: no}"])
def test_lists_of_images(names: str) -> None:
    absolute = Path("set/images/train/c.png").resolve()
    Path("set/train.txt").write_text(f"./images/train/a.png\n\n{absolute}\n")
    data = load(f"names: {names}\nnc: 2\npath: .\ntrain: [train.txt, images/val]\n")
    assert data.train.ids == ("images/train/a.png", "images/train/c.png", "images/val/d.png")


def test_polygon_gives_its_bounding_box() -> None:
    label("train/a", "0 0.1 0.2 0.5 0.3 0.4 0.9\n")
    assert load().train.targets[0, 0].tolist() == pytest.approx([0.1, 0.2, 0.5, 0.9, 0])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 1.2 0.5", "not from 0 to 1"),
        ("0 nan 0.5 0.2 0.5", "not from 0 to 1"),
        ("2 0.5 0.5 0.2 0.5", "class number 2; the classes are 0 to 1"),
        ("0.5 0.5 0.5 0.2 0.5", "class number 0.5"),
        ("cat 0.5 0.5 0.2 0.5", "not a list of numbers"),
        ("0 0.5 0.5 0.2", "4 numbers"),
        ("0 0.5 0.5 0 0.5", "a box has no area"),
        ("0 0.9 0.5 0.9 0.5", "extends outside its image"),
        ("1 0.1 0.1 0.1 0.1", "the same box as in line 1"),
    ],
)
def test_invalid_line_is_named(line: str, reason: str) -> None:
    label("train/a", f"1 0.1 0.1 0.1 0.1\n{line}\n")
    with pytest.raises(DataError, match=reason) as caught:
        load()
    assert caught.value.where.endswith("a.txt, line 2")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("train: images/train", "the keys names and train are missing"),
        ("names: [a, a]\ntrain: images/train", "duplicate class name 'a'"),
        ("names: {1: a, 2: b}\ntrain: images/train", "number the classes 0 to 1"),
        ("names: [a, b]\nnc: 3\ntrain: images/train", "nc is 3, but there are 2 names"),
        ("names: [a, b]\ntrain: images/gone", "no folder or list"),
        ("names: [a, b]\ntrain: [images/val, images/val]", "listed twice"),
        ("a: [", "not a YAML file"),
    ],
)
def test_invalid_description_is_named(content: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        load(content)


def test_list_must_not_lead_outside() -> None:
    Path("set/train.txt").write_text("../../secret/a.png\n")
    with pytest.raises(DataError, match="leads outside"):
        load("names: [a]\ntrain: train.txt\n")
