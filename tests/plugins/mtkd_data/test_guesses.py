"""What the built-in data sources recognize in a folder or file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtkd_cli.errors import DataError
from mtkd_cli.interfaces import FILL_IN
from mtkd_cli.plugin.registry import discover
from mtkd_cli.recipe.guess_data import find_data_source
from mtkd_data import guess_class_folders, guess_coco, guess_masks, guess_voc, guess_yolo
from mtkd_data.guess_tables import guess_image_table, guess_table
from tests.fixtures import own_data


def test_class_folders_in_splits_with_unlabeled_and_empty_folders() -> None:
    for split in ("train", "valid"):
        own_data.class_folders(Path("photos", split), count=2)
    own_data.image(Path("photos/unlabeled/1.png"))
    Path("photos/train/owl").mkdir()
    (found,) = guess_class_folders.guess(Path("photos"), "")
    assert (found.classes, found.splits) == (("cat", "dog"), ("val",))
    assert found.options["unlabeled"] == "photos/unlabeled"
    assert "4 images in train" in found.reason
    assert "photos/train/owl contains no images: remove it" in found.checks


def test_size_and_channels_come_from_the_images() -> None:
    for name in ("cat", "dog"):
        own_data.image(Path("gray", name, "1.png"), 300, gray=True)
    (found,) = guess_class_folders.guess(Path("gray"), "")
    assert (found.options["size"], found.options["channels"]) == (224, 1)
    Path("gray/cat/broken.png").write_bytes(b"no image")
    assert guess_class_folders.guess(Path("gray"), "")[0].options["size"] == 224


def test_data_set_one_folder_deeper_is_a_check() -> None:
    own_data.class_folders(Path("all/photos"), count=1)
    own_data.class_folders(Path("all/scans"), count=1)
    (found,) = guess_class_folders.guess(Path("all"), "")
    assert any("--data all/photos" in check for check in found.checks)


def test_class_folders_does_not_claim_layouts_of_other_sources() -> None:
    own_data.mask_folders(Path("seg"), count=1)
    own_data.coco(Path("det"), "annotations/train.json", "train2017")
    own_data.image(Path("det/val2017/1.png"))
    for path in (Path("seg"), Path("det")):
        assert guess_class_folders.guess(path, "") == []


@pytest.mark.parametrize(
    ("name", "labels", "tasks"),
    [
        ("label", ["a", "b"] * 10, ("classification",)),
        ("label", [1, 2, 3, 4] * 5, ("classification",)),
        ("target", [0, 1] * 10, ("classification",)),
        ("target", [1, 2, 3, 4] * 5, ("classification", "regression")),
        ("target", [n / 3 for n in range(20)], ("regression",)),
        ("y", list(range(40)), ("regression",)),
    ],
)
def test_task_of_table_follows_labels(name: str, labels: list[object], tasks: tuple[str, ...]) -> None:
    own_data.table(Path("t.csv"), labels, name)
    (found,) = guess_table(Path("t.csv"), "")
    assert (found.options["target"], found.tasks) == (name, tasks)
    assert found.options["id"] == "id"


def test_split_tables_and_several_tables() -> None:
    for split in ("train", "test"):
        own_data.table(Path("t", f"{split}.csv"), ["a", "b"] * 4)
    (found,) = guess_table(Path("t"), "")
    assert (found.options["path"], found.splits) == ("t", ("test",))
    Path("t/train.csv").rename("t/one.csv")
    assert [one.options["path"] for one in guess_table(Path("t"), "")] == ["t/one.csv", "t/test.csv"]


def test_names_in_a_column_are_ignored_and_said() -> None:
    lines = [f"person {n},{n * 1.5},{'ab'[n % 2]}" for n in range(30)]
    Path("t.csv").write_text("who,x,label\n" + "\n".join(lines))
    (found,) = guess_table(Path("t.csv"), "")
    assert found.options["ignore"] == ["who"]
    assert "different" in found.why["ignore"]
    assert found.checks == ("inputs are the columns x: remove those that would give away the target",)


def test_image_table_with_several_labels_and_images_elsewhere() -> None:
    for number in range(3):
        own_data.image(Path("set/pictures", f"{number}.png"))
    Path("set/labels.csv").write_text("file,red,round\n" + "".join(f"{n}.png,{n % 2},1\n" for n in range(3)))
    (found,) = guess_image_table(Path("set"), "")
    assert found.tasks == ("multilabel",)
    assert found.options["images"] == "set/pictures"
    assert found.options["target"] == ["red", "round"]
    assert guess_table(Path("set/labels.csv"), "") == []
    Path("set/pictures").rename("elsewhere")
    assert guess_image_table(Path("set"), "")[0].options["images"] == FILL_IN


def test_coco_splits_and_folders() -> None:
    for split in ("train", "val"):
        own_data.coco(Path("det"), f"annotations/instances_{split}2017.json", f"{split}2017")
    Path("det/annotations/captions_train2017.json").write_text(json.dumps({"annotations": []}))
    (found,) = guess_coco.guess(Path("det"), "")
    assert found.splits == ("val",)
    assert found.options["val_annotations"] == "det/annotations/instances_val2017.json"
    assert found.options["images"] == "det/train2017"
    (alone,) = guess_coco.guess(Path("det/annotations/instances_val2017.json"), "")
    assert alone.options["images"] == "det/train2017", "the names of the images are the same in both"


def test_several_annotation_files_are_named() -> None:
    for name in ("first", "second"):
        own_data.coco(Path("det"), f"{name}.json")
    (found,) = guess_coco.guess(Path("det"), "")
    assert found.options["annotations"] == FILL_IN
    assert "first.json, second.json" in found.why["annotations"]


def test_masks_without_images_for_all_and_void() -> None:
    own_data.mask_folders(Path("seg"), (0, 1, 255), count=3)
    Path("seg/masks/0.png").unlink()
    (found,) = guess_masks.guess(Path("seg"), "")
    assert found.options["missing"] == "unlabeled"
    assert found.options["classes"] == ["background", "class-1"]
    assert "values" not in found.options
    Path("seg/classes.txt").write_text("sky\nroad\n")
    assert "classes" not in guess_masks.guess(Path("seg"), "")[0].options


def test_voc_lists_and_years() -> None:
    own_data.voc(Path("boxes"))
    (found,) = guess_voc.guess_boxes(Path("boxes"), "")
    assert found.splits == ()
    assert "all images are training images" in found.checks[0]
    for year in ("2007", "2012"):
        Path("VOCdevkit", f"VOC{year}", "SegmentationClass").mkdir(parents=True)
        own_data.image(Path("VOCdevkit", f"VOC{year}", "JPEGImages", "1.jpg"))
    (masks,) = guess_voc.guess_masks(Path(), "")
    assert masks.options["year"] == FILL_IN
    assert "2007, 2012" in masks.why["year"]


def test_yolo_splits_and_images_without_labels() -> None:
    own_data.yolo(Path("boxes"), ("train", "val", "test"))
    Path("boxes/other.yaml").write_text("lr: 0.1\n")
    (found,) = guess_yolo.guess(Path("boxes"), "")
    assert (found.splits, found.checks) == (("val", "test"), ())
    assert found.options == {"path": "boxes/data.yaml", "size": 16, "channels": 3}
    for number in range(4):
        Path(f"boxes/labels/train/{number}.txt").unlink()
    (few,) = guess_yolo.guess(Path("boxes/data.yaml"), "")
    assert few.options["missing"] == "background"
    assert few.checks[0].startswith("4 of 20 training images have no label file")
    for number in range(4, 11):
        Path(f"boxes/labels/train/{number}.txt").unlink()
    (many,) = guess_yolo.guess(Path("boxes"), "")
    assert many.options["missing"] == "unlabeled"
    Path("boxes/data.yaml").unlink()
    with pytest.raises(DataError, match=r"no data\.yaml"):
        guess_yolo.guess(Path("boxes"), "")
    with pytest.raises(DataError, match=r"no data\.yaml"):
        find_data_source("boxes", "", discover(third_party=False))


def test_nothing_is_recognized_in_an_empty_folder() -> None:
    Path("empty").mkdir()
    for guess in (
        *(guess_class_folders.guess, guess_table, guess_image_table, guess_coco.guess, guess_masks.guess),
        *(guess_voc.guess_boxes, guess_voc.guess_masks, guess_yolo.guess),
    ):
        assert list(guess(Path("empty"), "")) == []
