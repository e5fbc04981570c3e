"""`mtkd predict --format yolo | coco`: other programs, and mtkd's data sources, read the boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from PIL import Image

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.inference.coco_boxes import coco_results, read_ids
from mtkd_cli.inference.predict import Answered
from mtkd_cli.inference.yolo_labels import label_lines, plan_labels, write_labels
from mtkd_cli.interfaces import Prediction, SourceData
from mtkd_cli.testing import cache_in
from mtkd_data.yolo import Yolo
from tests.fixtures.command_line import Mtkd
from tests.fixtures.small_runs import Distill

SIZE = (40, 20)
DETECTOR = (
    *("data.scenes=24", "data.test_scenes=12", "data.labels=12", "data.val=0.5", "views=1"),
    *("train.epochs=2", "train.lr=0.01", "student=tiny-fcos:8"),
    "teachers=[{model: 'tiny-fcos:8', fit: {labels: all, epochs: 2}}]",
)


def image(path: str) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)).save(path)
    return Path(path)


def answered(file: Path, *boxes: tuple[str, float, float, float, float, float]) -> Answered:
    return Answered(str(file), Prediction({"boxes": len(boxes)}, boxes=boxes), "", SIZE)


def load(file: str) -> SourceData:
    decoding: dict[str, Any] = {"size": 20, "channels": 3, "fit": "pad", "workers": 1}
    return Yolo(file, missing="background", unlabeled=None, **decoding).load(cache_in(Path()))


def test_yolo_files_are_data_with_the_same_boxes() -> None:
    files = [image("set/images/a.png"), image("set/images/deep/b.png"), image("set/images/c.png")]
    box = (0.25, 0.1, 0.75, 0.6)
    answers = [
        answered(files[0], ("no", 0.9, *box), ("cat", 0.4, 0.0, 0.0, 1 / 3, 1.0), ("cat", 0.1, *box)),
        answered(files[1], ("cat", 0.5, *box)),
        answered(files[2]),
    ]
    plan = plan_labels(Path("set"), files, [Path("set/images")])
    assert write_labels(plan, answers, ("cat", "no"), threshold=0.3) == (3, 3)
    assert Path("set/labels/a.txt").read_text().splitlines()[0] == (
        "1 0.50000000 0.35000000 0.50000000 0.50000000 0.900000"
    )
    data = load("set/data.yaml")
    assert data.classes == ("cat", "no")
    assert data.train.ids == ("images/a.png", "images/c.png", "images/deep/b.png")
    assert data.train.frames is not None
    labels = np.asarray(data.train.frames.labels)
    np.testing.assert_allclose(labels[0], [[*box, 1], [0, 0, 1 / 3, 1, 0]], atol=1e-6)
    assert (labels[1, :, 4] == -1).all()
    np.testing.assert_allclose(labels[2, 0], [*box, 0], atol=1e-6)


def test_boxes_are_clipped_and_boxes_without_area_left_out() -> None:
    boxes = [("cat", 0.9, -0.2, 0.5, 0.5, 1.3), ("cat", 0.8, 1.1, 0, 1.2, 1), ("cat", 0.7, 0.5, 0, 0.5, 1)]
    (line,) = label_lines(answered(Path("a.png"), *boxes), ("cat",), 0)
    assert [float(part) for part in line.split()] == [0, 0.25, 0.75, 0.5, 0.5, 0.9]


def test_no_file_is_overwritten_and_no_two_images_share_one() -> None:
    both = [image("in/a.png"), image("in/a.jpg")]
    with pytest.raises(UsageError, match=r"the label file .*a\.png and .*a\.jpg"):
        plan_labels(Path("out"), both, [Path("in")])
    Path("out/labels").mkdir(parents=True)
    Path("out/labels/a.txt").touch()
    with pytest.raises(UsageError, match=r"a\.txt exists"):
        plan_labels(Path("out"), both[:1], [Path("in")])


def test_images_of_splits_keep_their_folders() -> None:
    files = [image("set/train/images/a.png"), image("set/valid/images/a.png")]
    plan = plan_labels(Path("out"), files, [Path("set")])
    assert [str(path) for path in plan.labels.values()] == [
        "out/train/labels/a.txt",
        "out/valid/labels/a.txt",
    ]
    assert plan.images == ("train/images", "valid/images")


def write_annotations(names: list[str]) -> Path:
    """Write an annotation file whose ids are not counted from 1."""
    boxes = {"bbox": [10, 2, 20, 10], "area": 200, "iscrowd": 0, "category_id": 7}
    content = {
        "images": [
            {"id": 40 + n, "file_name": name, "width": 40, "height": 20} for n, name in enumerate(names)
        ],
        "annotations": [{"id": n + 1, "image_id": 40 + n, **boxes} for n in range(len(names))],
        "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
    }
    Path("truth.json").write_text(json.dumps(content))
    return Path("truth.json")


def test_cocos_evaluation_reads_the_results() -> None:
    file = write_annotations(["one/a.png", "two/a.png", "b.png"])
    answers = [
        answered(Path("photos/one/a.png"), ("cat", 0.9, 0.25, 0.1, 0.75, 0.6)),
        answered(Path("photos/two/a.png"), ("cat", 0.8, 0.25, 0.1, 0.75, 0.6), ("cow", 0.7, 0, 0, 1, 1)),
        answered(Path("photos/b.png")),
    ]
    results = coco_results(answers, read_ids(file), 0.3)
    assert [(row["image_id"], row["category_id"]) for row in results] == [(40, 7), (41, 7)]
    truth = COCO(str(file))
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "bbox")
    evaluation.run()
    assert evaluation.stats[8] == pytest.approx(2 / 3)  # average recall: two of three boxes


def test_an_image_without_an_entry_is_named() -> None:
    file = write_annotations(["one/a.png", "two/a.png"])
    with pytest.raises(DataError, match=r"no image a\.png"):
        coco_results([answered(Path("a.png"))], read_ids(file), 0.3)
    Path("truth.json").write_text('{"images": [{}]}')
    with pytest.raises(DataError, match="not a COCO annotation file"):
        read_ids(file)


def test_a_detector_answers_in_every_format(mtkd: Mtkd, distill: Distill) -> None:
    distill(*DETECTOR, recipe="digit-scenes-det", name="boxes")
    image("set/images/a.png")
    Path("set/images/bad.png").touch()
    every = ("--threshold", "0", "--format")
    result = mtkd("predict", "boxes", "set", *every, "yolo", "--output", "set", "--json")
    assert result.exit_code == 3
    told = json.loads(result.stdout)
    assert (told["images"], [Path(row["file"]).name for row in told["unreadable"]]) == (1, ["bad.png"])
    lines = Path("set/labels/a.txt").read_text().splitlines()
    assert len(lines) == told["boxes"] > 0
    assert not Path("set/labels/bad.txt").exists()
    Path("set/images/bad.png").unlink()
    assert (load("set/data.yaml").train.targets[..., 4] >= 0).sum() == len(lines)
    again = mtkd("predict", "boxes", "set", *every, "yolo", "--output", "set")
    assert (again.exit_code, "exists" in again.stderr) == (2, True)

    Path("truth.json").write_text(
        json.dumps({"images": [{"id": 5, "file_name": "a.png"}], "categories": [{"id": 1, "name": "0"}]})
    )
    result = mtkd("predict", "boxes", "set", *every, "coco", "--annotations", "truth.json")
    found = json.loads(result.stdout)
    assert len(found) == sum(line.startswith("0 ") for line in lines)
    assert all(set(row) == {"image_id", "category_id", "bbox", "score"} for row in found)
    whole = json.loads(mtkd("predict", "boxes", "set", *every, "coco").stdout)
    Path("whole.json").write_text(json.dumps(whole))
    assert len(COCO("whole.json").getAnnIds()) == len(lines)


def test_formats_of_boxes_are_refused_for_other_students(mtkd: Mtkd, run: Path) -> None:
    image("a.png")
    for options in (("coco",), ("yolo", "--output", "out"), ("yolo",), ("csv", "--annotations", "a.json")):
        result = mtkd("predict", run, "a.png", "--format", *options)
        assert result.exit_code == 2
        assert not Path("out").exists()
