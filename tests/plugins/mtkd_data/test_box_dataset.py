"""Data sources `coco` and `voc`: samples, and errors in annotation files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.coco import Coco
from mtkd_data.voc import Voc


def image(path: Path, width: int = 40, height: int = 20, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), "grey").save(path, **more)


Change = Callable[[dict[str, Any]], None]


def coco(change: Change | None = None, **more: Any) -> SourceData:
    """Return two images: the first with a cat at 4, 2 to 14, 12, the second without boxes."""
    for name in ("a.jpg", "b.jpg"):
        image(Path("images") / name)
    content: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 40, "height": 20},
            {"id": 9, "file_name": "b.jpg"},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 17, "bbox": [4, 2, 10, 10]}],
    }
    if change:
        change(content)
    Path("train.json").write_text(json.dumps(content))
    options: dict[str, Any] = dict.fromkeys(
        ("val_annotations", "test_annotations", "val_images", "test_images", "unlabeled")
    )
    options |= {"size": 16, "channels": 3, "fit": "stretch", "workers": 1, **more}
    return Coco("train.json", "images", **options).load(cache_in(Path()))


def test_coco_boxes_are_relative_to_sides() -> None:
    data = coco()
    assert data.classes == ("cat", "dog")
    assert data.train.ids == ("images/a.jpg", "images/b.jpg")
    assert data.train.inputs.shape == (2, 3, 16, 16)
    assert data.train.targets[0].tolist() == [pytest.approx([0.1, 0.1, 0.35, 0.6, 0])]
    assert data.train.targets[1].tolist() == [[0, 0, 0, 0, -1]]


def test_coco_uses_unlabeled_images_and_skips_crowds() -> None:
    image(Path("more/deep/c.png"), 8, 8)

    def crowd(content: dict[str, Any]) -> None:
        content["annotations"].append(
            {"id": 2, "image_id": 9, "category_id": 18, "bbox": [0, 0, 40, 20], "iscrowd": 1}
        )

    train = coco(crowd, unlabeled="more").train
    assert train.ids[2] == "unlabelled/deep/c.png"
    assert np.isnan(train.targets[2]).all()
    assert (train.targets[1, :, 4] == -1).all()


def test_clips_boxes_slightly_beyond_the_border() -> None:
    def border(content: dict[str, Any]) -> None:
        content["annotations"][0]["bbox"] = [-0.5, 0, 41, 20]

    assert coco(border).train.targets[0, 0].tolist() == [0, 0, 1, 1, 0]


def test_coco_validation_uses_training_classes() -> None:
    coco()
    content = json.loads(Path("train.json").read_text())
    content["categories"] = [{"id": 1, "name": "dog"}]
    content["annotations"][0]["category_id"] = 1
    content["images"] = [{**entry, "file_name": f"v{entry['file_name']}"} for entry in content["images"]]
    Path("val.json").write_text(json.dumps(content))
    for name in ("va.jpg", "vb.jpg"):
        image(Path("images") / name)
    data = coco(val_annotations="val.json")
    assert data.val is not None
    assert data.val.targets[0, 0, 4] == 1


def test_coco_folders_of_the_same_names_are_told_apart_by_split() -> None:
    coco()
    Path("val.json").write_text(Path("train.json").read_text())
    for name in ("a.jpg", "b.jpg"):
        image(Path("val/images") / name)
    image(Path("more/c.png"))
    data = coco(val_annotations="val.json", val_images="val/images", unlabeled="more")
    assert data.val is not None
    assert data.val.ids == ("val/images/a.jpg", "val/images/b.jpg")
    assert data.train.ids[:2] == ("train/images/a.jpg", "train/images/b.jpg")
    assert [name.split("/")[0] for name in data.train.ids[2:]] == ["unlabelled"]
    shared = coco(val_annotations="val.json")  # the same files: found when the data is checked
    assert shared.val is not None
    assert shared.val.ids == shared.train.ids


def box(*numbers: float) -> Change:
    return lambda content: content["annotations"][0].update(bbox=list(numbers))


def first(part: str, **changes: Any) -> Change:
    return lambda content: content[part][0].update(changes)


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (box(4, 2, 0, 10), "no area", "annotation 1, image a.jpg"),
        (box(4, 2, 10, -1), "no area", "annotation 1"),
        (box(4, 2, 10), "bbox is not a list", "annotation 1"),
        (box(4, float("nan"), 10, 10), "NaN", "annotation 1"),
        (box(4, 2, 80, 10), "outside its image of 40 x 20", "annotation 1"),
        (first("annotations", category_id=99), "category 99", "annotation 1"),
        (first("annotations", image_id=99), "image_id 99", "annotation 1"),
        (first("images", file_name="gone.jpg"), "not found", "gone.jpg"),
        (first("images", width=20, height=40), "40 x 20 pixels, but its annotation says 20 x 40", "a.jpg"),
        (first("categories", name="cat"), "duplicate category name", "train.json"),
        (first("categories", id=17), "the categories 'dog' and 'cat' have the same id 17", "train.json"),
        (first("categories", id="17"), "have the same id", "train.json"),
        (first("categories", id=float("inf")), "no valid id", "train.json"),
        (first("images", id=9), "two images have the same id 9: 'a.jpg' and 'b.jpg'", "train.json"),
        (first("images", width=float("inf")), "an image has no valid", "train.json"),
        (box(4, 2, 10, 10**400), "bbox is not a list", "annotation 1"),
        (lambda content: content.update(annotations=[]), "no image has a box", "train.json"),
        (first("annotations", iscrowd=1), "no image has a box", "train.json"),
        (lambda content: content.pop("images"), "not a COCO file", "train.json"),
        (lambda content: content["images"][0].pop("file_name"), "file_name", "train.json"),
    ],
)
def test_rejects_invalid_coco_file(change: Change, what: str, where: str) -> None:
    with pytest.raises(DataError) as caught:
        coco(change)
    assert what in caught.value.what
    assert where in caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"images": ' * 100_000, "nested too deeply"),
        (b"{", "not valid JSON"),
        (b"\xff{}", "is not UTF-8"),
    ],
)
def test_rejects_what_is_not_json(content: bytes, what: str) -> None:
    coco()
    Path("val.json").write_bytes(content)
    with pytest.raises(DataError, match=what) as caught:
        coco(val_annotations="val.json")
    assert "val.json" in caught.value.where


@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000 + "y", "\0", "\ud800"])
def test_rejects_what_is_not_a_file_name(name: str) -> None:
    with pytest.raises(DataError, match="is not a file name"):
        coco(first("images", file_name=name))


def test_accepts_byte_order_mark() -> None:
    coco()
    Path("val.json").write_text(Path("train.json").read_text(), encoding="utf-8-sig")
    image(Path("other/a.jpg"))
    image(Path("other/b.jpg"))
    assert coco(val_annotations="val.json", val_images="other").val is not None


def test_boxes_refer_to_upright_image() -> None:
    rotated = Image.Exif()
    rotated[0x0112] = 6
    coco()
    image(Path("images/a.jpg"), 20, 40, exif=rotated)  # shown as 40 x 20
    content = json.loads(Path("train.json").read_text())
    Path("again.json").write_text(json.dumps(content))
    nothing = dict.fromkeys(("val_annotations", "test_annotations", "val_images", "test_images", "unlabeled"))
    data = Coco("again.json", "images", **nothing, size=16, channels=3, fit="stretch", workers=1).load(
        cache_in(Path())
    )
    assert data.train.targets[0, 0].tolist() == pytest.approx([0.1, 0.1, 0.35, 0.6, 0])


OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin>"
    "<xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def annotate(stem: str, *objects: tuple[Any, ...]) -> None:
    image(Path("voc/JPEGImages") / f"{stem}.jpg")
    folder = Path("voc/Annotations")
    folder.mkdir(exist_ok=True)
    text = "".join(OBJECT.format(*each) for each in objects)
    (folder / f"{stem}.xml").write_text(f"<annotation>{text}</annotation>")


def voc(**more: Any) -> SourceData:
    options: dict[str, Any] = {"classes": None, "unlabeled": None, "size": 16, "channels": 1, "workers": 1}
    return Voc("voc", **(options | more)).load(cache_in(Path()))


def test_voc_first_pixel_is_1_and_skips_difficult_objects() -> None:
    annotate("a", ("dog", 0, 1, 1, 20, 10), ("cat", 1, 1, 1, 40, 20))
    annotate("b")
    data = voc()
    assert data.classes == ("dog",)
    assert data.train.targets[0].tolist() == [pytest.approx([0, 0, 0.5, 0.5, 0])]
    assert data.train.targets[1].tolist() == [[0, 0, 0, 0, -1]]
    assert data.test is None


def test_voc_reads_splits_from_image_sets() -> None:
    for stem in "abc":
        annotate(stem, ("dog", 0, 1, 1, 20, 10))
    sets = Path("voc/ImageSets/Main")
    sets.mkdir(parents=True)
    for name, stem in (("train", "a"), ("val", "b"), ("test", "c")):
        (sets / f"{name}.txt").write_text(f"{stem}\n")
    data = voc(classes=["cat", "dog"])
    assert [split.ids for split in (data.train, data.val, data.test) if split] == [
        ("a.jpg",),
        ("b.jpg",),
        ("c.jpg",),
    ]
    assert data.train.targets[0, 0, 4] == 1


def test_rejects_invalid_voc_files() -> None:
    annotate("a", ("dog", 0, 9, 1, 8, 10))
    with pytest.raises(DataError, match="no area") as caught:
        voc()
    assert "a.xml: object 1" in caught.value.where
    with pytest.raises(DataError, match="not one of the classes"):
        voc(classes=["cat"])
    annotate("a", ("dog", 0, "x", 1, 8, 10))
    with pytest.raises(DataError, match="cannot be read"):
        voc()
    Path("voc/Annotations/a.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    with pytest.raises(DataError, match="ENTITY declaration"):
        voc()
    annotate("a", ("dog", 0, 1, 1, 8, 10))
    Path("voc/JPEGImages/a.jpg").unlink()
    with pytest.raises(DataError, match="not found"):
        voc()


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "{here}/secret.jpg", "out/secret.jpg", "in/../../secret.jpg"]
)
def test_coco_rejects_file_names_outside_folder(name: str) -> None:
    image(Path("secret.jpg"))
    image(Path("images/in/c.jpg"))
    (Path("images") / "out").symlink_to("..")
    with pytest.raises(DataError, match="leads outside the folder images") as caught:
        coco(first("images", file_name=name.format(here=Path.cwd())))
    assert caught.value.where == "train.json: image 7"
    assert caught.value.hint


def test_coco_accepts_subfolders_and_linked_images() -> None:
    image(Path("store/c.jpg"))
    Path("images/in").mkdir(parents=True)
    Path("images/in/c.jpg").symlink_to(Path("store/c.jpg").absolute())
    assert coco(first("images", file_name="in/c.jpg")).train.ids[0] == "images/in/c.jpg"


def test_voc_rejects_list_entries_outside_folder() -> None:
    annotate("a", ("dog", 0, 1, 1, 20, 10))
    Path("voc/ImageSets/Main").mkdir(parents=True)
    Path("voc/ImageSets/Main/train.txt").write_text("a\n../../elsewhere/a\n")
    with pytest.raises(DataError, match="leads outside") as caught:
        voc()
    assert "train.txt, line 2" in caught.value.where


def test_rejects_links_out_of_unlabeled_folder() -> None:
    image(Path("more/c.png"))
    Path("more/up").symlink_to("..")
    with pytest.raises(DataError, match="leads outside") as caught:
        coco(unlabeled="more")
    assert caught.value.where == "more/up"
