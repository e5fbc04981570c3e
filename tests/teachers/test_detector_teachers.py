"""Detectors with different class numberings are accepted, or rejected with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.detection import MeanAveragePrecision

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.teachers import outputs, prepare
from mtkd_cli.training.context import Context
from tests.fixtures.small_runs import Contexts

NAMES = ("red", "green", "blue")
SIDE, IMAGES = 32, 24

DETECTORS = """
import numpy as np
import torch
from torch import nn

class Colors(nn.Module):
    '''Finds the box of each color; off by a pixel where its left side is even.'''

    def __init__(self, first, skip=()):
        super().__init__()
        self.first, self.skip = first, skip

    def forward(self, images):
        answers = []
        for image in images:
            boxes, labels = [], []
            for color in range(3):
                y, x = torch.nonzero(image[color] > 0.5, as_tuple=True)
                if len(x) and color not in self.skip:
                    x1, y1, x2, y2 = x.min(), y.min(), x.max() + 1, y.max() + 1
                    boxes.append(torch.stack([x1 + 1 - x1 % 2, y1, x2, y2]) / image.shape[-1])
                    labels.append(self.first + color)
            found = torch.stack(boxes) if boxes else torch.zeros(0, 4)
            scores = torch.linspace(0.9, 0.5, len(labels))
            numbers = torch.tensor(labels, dtype=torch.long)
            answers.append({"boxes": found, "labels": numbers, "scores": scores})
        return answers

from_0 = lambda pretrained: Colors(0)
from_1 = lambda pretrained: Colors(1)
from_2 = lambda pretrained: Colors(2)
from_0_without_ends = lambda pretrained: Colors(0, skip=(0,))
from_1_without_ends = lambda pretrained: Colors(1, skip=(2,))
nothing = lambda pretrained: Colors(0, skip=(0, 1, 2))

class Rare(Colors):
    '''Answers a number without a name on one image of the test split only.'''

    def forward(self, images):
        answers = super().forward(images)
        for image, answer in zip(images, answers):
            if image.sum() == RARE:
                answer["labels"] = answer["labels"] + 5
        return answers

rare = lambda pretrained: Rare(0)

class Yolo(Colors):
    '''Answers in YOLO's layout [B, 4 + C, N]: centers in pixels, and probabilities of three classes.'''

    def forward(self, images):
        rows = torch.zeros(len(images), 60, 7)
        for row, answer in zip(rows, super().forward(images)):
            x1, y1, x2, y2 = answer["boxes"].T * images.shape[-1]
            centers = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=1)
            row[: len(centers), :4] = centers
            row[torch.arange(len(centers)), 4 + answer["labels"]] = answer["scores"]
        return rows.transpose(1, 2)

yolo = lambda pretrained: Yolo(0)
"""
INPUT = "input: {mean: [0.0], std: [1.0]}"


@pytest.fixture(autouse=True)
def colors() -> None:
    """Create 32 px images with a red, a green and a blue box, which may overlap."""
    generator = np.random.default_rng(0)
    Path("images").mkdir()
    images, annotations = [], []
    for number in range(IMAGES):
        pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
        for color in range(3):
            x, y = generator.integers(0, SIDE - 10, 2)
            pixels[y : y + 10, x : x + 10] = np.eye(3, dtype=np.uint8)[color] * 255
        for color in range(3):
            y, x = np.nonzero(pixels[..., color])
            if len(x):
                box = [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]
                annotations.append({"image_id": number, "category_id": color + 1, "bbox": box})
        images.append({"id": number, "file_name": f"{number}.png"})
        Image.fromarray(pixels).save(f"images/{number}.png")
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    Path("a.json").write_text(json.dumps(content))
    Path("det.py").write_text(DETECTORS)


@pytest.fixture
def ready(context: Contexts) -> Callable[..., tuple[Context, outputs.ReadyTeacher]]:
    def make(name: str, keys: str = "classes: [red, green, blue]") -> tuple[Context, outputs.ReadyTeacher]:
        teacher = f"{{name: t, model: 'python:det.py:{name}', pretrained: true, {INPUT}, {keys}}}"
        found = context(
            f"data={{name: coco, annotations: a.json, images: images, size: {SIDE}, val: 0.4, test: 0.3}}",
            f"teachers=[{teacher}]",
            "strategy=mean",
            "views=1",
            "student=tiny-fcos:8",
            "augment={}",
            "calibrate=false",
            recipe="digit-scenes-det",
        )
        (only,) = prepare.prepare_teachers(found, 1)
        return found, only

    return make


def score(context: Context, teacher: outputs.ReadyTeacher) -> float:
    test = context.data.test
    output = teacher.recorded_outputs("test", 0)
    target = torch.from_numpy(np.asarray(test.samples.targets))
    statistics = context.task.statistics(output, target)
    return context.task.metrics(statistics)["map"]


def pixels_of(context: Context) -> torch.Tensor:
    """Return the test images, values from 0 to 1."""
    return torch.from_numpy(context.data.test.samples.read(slice(None)).copy()).float() / 255


def by_hand(context: Context) -> float:
    """Return torchmetrics' mAP of the detector on the test images, computed without mtkd."""
    told: dict[str, Any] = {}
    exec(DETECTORS, told)
    images = pixels_of(context)
    found = told["from_0"](True)(images)
    metric = MeanAveragePrecision(backend="faster_coco_eval")
    targets = []
    for row in torch.from_numpy(np.asarray(context.data.test.samples.targets)):
        real = row[row[:, 4] >= 0]
        targets.append({"boxes": real[:, :4] * SIDE, "labels": real[:, 4].long()})
    metric.update([{**one, "boxes": one["boxes"] * SIDE} for one in found], targets)
    return float(metric.compute()["map"])


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("from_0", "classes: [red, green, blue]"),
        ("from_1", "classes: [red, green, blue]"),
        ("from_1", "classes: [red, green, blue], background: first"),
        ("from_1", "classes: [__background__, red, green, blue]"),
        ("from_1", "weight: 1"),
        ("from_0", "classes: [red, green, blue], background: none"),
        ("from_2", "classes: [background, unused, red, green, blue]"),
        ("yolo", "classes: [red, green, blue]"),
        ("yolo", "outputs: {layout: yolo8, boxes: xywh, scale: pixels}"),
    ],
)
def test_class_numberings_score_equally(ready: Any, name: str, keys: str) -> None:
    context, teacher = ready(name, keys)
    expected = by_hand(context)
    assert 0.3 < expected < 0.95
    assert score(context, teacher) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "keys", "what"),
    [
        ("from_2", "classes: [red, green, blue]", "class number 4"),
        ("from_1", "classes: [red, green, blue], background: none", "class number 3"),
        ("from_0", "classes: [red, green]", "class numbers 0 and 2, but only 2 class names"),
    ],
)
def test_rejects_unnamed_class_number_before_training(ready: Any, name: str, keys: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        ready(name, keys)
    assert what in caught.value.what
    assert caught.value.where == "teacher 't'"
    assert "classes:" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("from_0_without_ends", "red, green, blue, black"),
        ("from_1_without_ends", "red, green, blue"),
        ("nothing", "red, green, blue"),
    ],
)
def test_remark_on_assumed_numbering_is_repeated(
    ready: Any, monkeypatch: pytest.MonkeyPatch, name: str, names: str
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("mtkd_cli.training.events.RunEvents.line_shown", lambda _, line: shown.append(line))
    for times in (1, 2):  # found out, then known
        ready(name, f"classes: [{names}]")
        lines = [line for line in shown if "background" in line]
        assert len(lines) == times
        assert lines[-1].startswith("teacher t: ")
        assert "background: first" in lines[-1]
        assert "background: none" in lines[-1]


def test_rejects_unnamed_class_number_later(context: Contexts, ready: Any) -> None:
    seen, _ = ready("from_0")
    rare = float(pixels_of(seen)[0].sum())
    Path("det.py").write_text(f"RARE = {rare!r}\n{DETECTORS}")
    found, teacher = ready("rare")
    with pytest.raises(DataError, match="a box has the class number") as caught:
        score(found, teacher)
    assert caught.value.where == "teacher 't'"


def test_background_applies_to_detectors_only(context: Contexts) -> None:
    with pytest.raises(UsageError, match="applies to detectors only"):
        prepare.prepare_teachers(context("teachers.0.background=first"), 1)


def test_plan_shows_remarks(ready: Any, context: Contexts) -> None:
    from mtkd_cli.runs.plan import make_plan

    found, _ = ready("from_1")
    (teacher,) = make_plan(found, 1, baseline=False)["teachers"]
    assert "assuming that 0 is the background" in teacher["remarks"][0]


def test_says_how_it_reads_boxes_in_pixels(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("det.py").write_text(
        "import torch\n"
        "class Pixels(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        return torch.tensor([[[4.0, 4.0, 20.0, 24.0, 0.9, 1.0]]]).repeat(len(images), 1, 1)\n"
        "def pixels(pretrained):\n"
        "    return Pixels()\n"
    )
    shown: list[str] = []
    monkeypatch.setattr("mtkd_cli.training.events.RunEvents.line_shown", lambda _, line: shown.append(line))
    _, teacher = ready("pixels")
    assert teacher.recorded_outputs("test", 0)[0, 0].tolist() == pytest.approx(
        [4 / SIDE, 4 / SIDE, 20 / SIDE, 24 / SIDE, 0.9, 1]
    )
    assert any("two corners, in pixels of 32" in line for line in shown)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("outputs: {layout: detr}", "layout detr needs boxes"),
        ("outputs: {layout: yolo8}, classes: [red, green, blue, black]", "7 columns for each box"),
        ("classes: [red, green]", "layout yolo8 with 2 classes needs 6"),
    ],
)
def test_layout_that_does_not_fit(ready: Any, keys: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        ready("yolo", keys)
    assert reason in caught.value.what
    assert "outputs: {layout" in caught.value.hint


def test_layout_applies_to_detectors_only(context: Contexts) -> None:
    with pytest.raises(UsageError, match="apply to detectors only"):
        prepare.prepare_teachers(context("teachers.0.outputs={layout: yolo8}"), 1)


def test_ignored_sample_stays_ignored(ready: Any) -> None:
    """NaN marks a missing output; it must not turn into an output without boxes."""
    found, teacher = ready("from_1")
    output = torch.zeros(2, 100, 6)
    output[1] = torch.nan
    aligned = teacher.align(output)
    assert aligned[1].isnan().all()
    assert not aligned[0].isnan().any()
    assert found.task.primary.name == "map"
