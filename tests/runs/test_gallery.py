"""The gallery of a report: which test samples are in it, and how many there are, against numpy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mtkd_cli.data.dataset import Dataset, Split
from mtkd_cli.interfaces import Column, InputSpec, LossOptions, Samples, Task, TaskData
from mtkd_cli.reading.class_colors import class_color
from mtkd_cli.report.gallery import Gallery, GalleryGroup
from mtkd_cli.runs.gallery import PER_GROUP, gallery_of
from mtkd_tasks.classification import Classification
from mtkd_tasks.detection import Detection
from mtkd_tasks.regression import Regression
from mtkd_tasks.segmentation import Segmentation

CLASSES = ("a", "b", "c")


def context_of(
    make: Any, inputs: NDArray[Any], targets: NDArray[Any], classes: tuple[str, ...], spec: InputSpec
) -> Any:
    """Return a context with a task and a test split; samples are named by their row."""
    samples = Samples(tuple(f"s{row}" for row in range(len(targets))), inputs, targets)
    split = Split("test", samples, "")
    data = Dataset(classes, split, split, split, split, spec)
    task: Task = make(TaskData(classes, targets, spec), LossOptions())
    said: list[str] = []
    return SimpleNamespace(task=task, data=data, said=said, progress=SimpleNamespace(say=said.append))


def made(context: Any, outputs: dict[str, torch.Tensor]) -> tuple[Gallery, Any]:
    targets = torch.from_numpy(context.data.test.samples.targets[context.data.test.labeled])
    labeled = context.data.test.labeled
    statistics = {}
    for who, output in outputs.items():
        missing = ~torch.isfinite(output[labeled]).flatten(1).all(dim=1)
        hidden = targets.clone()
        hidden[missing] = -1 if not targets.is_floating_point() else torch.nan
        statistics[who] = context.task.statistics(output[labeled].nan_to_num(), hidden)
    rows = {who: (lambda rows, output=output: output[rows]) for who, output in outputs.items()}
    gallery, sheet = gallery_of(context, rows, statistics)
    assert gallery is not None, context.said
    return gallery, sheet


def by_kind(gallery: Gallery) -> dict[str, GalleryGroup]:
    return {group.kind: group for group in gallery.groups}


@pytest.fixture
def classified() -> tuple[Any, dict[str, torch.Tensor], NDArray[np.int64]]:
    random = np.random.default_rng(0)
    labels = random.integers(-1, 3, 200)  # -1: not labeled
    inputs = random.integers(0, 255, (200, 1, 4, 4), dtype=np.uint8)
    context = context_of(Classification, inputs, labels, CLASSES, InputSpec(4, (0.5,), (0.5,), 1))
    logits = {
        who: torch.from_numpy(random.normal(size=(200, 3)) + 0.3 * np.eye(3)[labels]).float()
        for who in ("student", "ensemble", "teacher x", "teacher y")
    }
    return context, logits, labels


def test_counts_and_ids_match_numpy(classified: Any) -> None:
    context, logits, labels = classified
    gallery, sheet = made(context, logits)
    wrong = {who: each.numpy().argmax(1) != labels for who, each in logits.items()}
    labeled = labels >= 0
    masks = {
        "student-wrong": ("student", labeled & wrong["student"] & ~wrong["ensemble"]),
        "all-wrong": ("ensemble", labeled & np.logical_and.reduce(list(wrong.values()))),
        "student-right": ("ensemble", labeled & ~wrong["student"] & wrong["ensemble"]),
    }
    groups = by_kind(gallery)
    assert gallery.examined == labeled.sum()
    for kind, (by, mask) in masks.items():
        confidence = torch.softmax(logits[by].double(), 1).amax(1).numpy()
        rows = np.flatnonzero(mask)
        first = rows[np.argsort(-confidence[rows], kind="stable")][:PER_GROUP]
        assert groups[kind].count == mask.sum() > 0
        assert [sample.id for sample in groups[kind].samples] == [f"s{row}" for row in first]
        for row, sample in zip(first, groups[kind].samples, strict=True):
            assert sample.label == CLASSES[labels[row]]
            assert {w: a.right for w, a in sample.answers.items()} == {
                w: not e[row] for w, e in wrong.items()
            }
            assert sample.answers[by].confidence == pytest.approx(confidence[row], rel=1e-5)
    assert gallery.pictures == ("image",)
    assert sheet.size == (4, 4 * len(gallery.samples))
    row = int(gallery.samples[1].id[1:])
    assert (np.asarray(sheet)[4:8, :, 0] == context.data.test.samples.inputs[row, 0]).all()


def test_a_teacher_without_an_answer_is_not_right(classified: Any) -> None:
    context, logits, _ = classified
    logits["teacher x"][:] = torch.nan
    gallery, _ = made(context, logits)
    answers = [sample.answers["teacher x"] for sample in gallery.samples]
    assert {(answer.text, answer.confidence, answer.right) for answer in answers} == {
        ("no answer", None, None)
    }


def test_perfect_models_have_an_empty_gallery(classified: Any) -> None:
    context, logits, labels = classified
    right = {who: torch.from_numpy(9.0 * np.eye(3)[labels]) for who in logits}
    assert made(context, right)[0].groups == ()


def test_a_task_that_fails_ends_no_run(classified: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    context, logits, _ = classified
    statistics = {who: torch.zeros(1, 5) for who in logits}
    monkeypatch.setattr(Classification, "predictions", None)
    rows = {who: (lambda rows, output=output: output[rows]) for who, output in logits.items()}
    assert gallery_of(context, rows, statistics) == (None, None)
    assert "no gallery of samples" in context.said[0]


def test_errors_of_a_regression_match_numpy() -> None:
    random = np.random.default_rng(1)
    labels = random.normal(100, 20, (60, 1))
    table = np.column_stack([random.normal(size=60), random.normal(5, 2, 60), random.integers(0, 2, 60)])
    table[0, 0] = np.nan
    columns = (Column("age"), Column("size"), Column("color", ("red", "blue")))
    spec = InputSpec(1, (0.0, 5.0, 0.0), (1.0, 2.0, 1.0), 4, columns=columns)
    context = context_of(Regression, table, labels, ("price",), spec)
    values = {who: torch.from_numpy(labels + random.normal(0, 5, (60, 1))) for who in ("student", "ensemble")}
    gallery, sheet = made(context, values)
    errors = {who: np.abs(each.numpy() - labels)[:, 0] for who, each in values.items()}
    groups, gap = by_kind(gallery), errors["student"] - errors["ensemble"]
    assert sheet is None
    assert groups["student-worse"].count == (gap > 0).sum()
    assert groups["student-better"].count == (gap < 0).sum()
    expected = {
        "student-worse": np.argsort(-gap),
        "student-better": np.argsort(gap),
        "largest-errors": np.argsort(-np.minimum(errors["student"], errors["ensemble"])),
    }
    for kind, order in expected.items():
        assert [sample.id for sample in groups[kind].samples] == [f"s{row}" for row in order[:PER_GROUP]]
    sample = groups["largest-errors"].samples[0]
    row = int(sample.id[1:])
    assert sample.answers["student"].score == pytest.approx(errors["student"][row], rel=1e-5)
    assert sample.label == f"{labels[row, 0]:.4g}"
    assert sample.values["color"] == ("red", "blue")[int(table[row, 2])]
    assert sample.values["size"] == pytest.approx(table[row, 1], rel=1e-5)
    distances = np.abs(table[row, :2] - [0, 5]) / [1, 2]
    assert next(iter(sample.values)) == ("age", "size")[int(distances.argmax())]


def test_a_map_is_drawn_beside_its_label() -> None:
    random = np.random.default_rng(2)
    masks = random.integers(0, 3, (20, 8, 8))
    inputs = random.integers(0, 255, (20, 3, 8, 8), dtype=np.uint8)
    spec = InputSpec(8, (0.5,) * 3, (0.5,) * 3, 3)
    context = context_of(Segmentation, inputs, masks, CLASSES, spec)
    logits = {
        who: torch.from_numpy(random.normal(size=(20, 3, 8, 8))).float() for who in ("student", "ensemble")
    }
    gallery, sheet = made(context, logits)
    assert gallery.pictures == ("image", "label", "student", "ensemble")
    assert gallery.colors == {
        name: "#{:02x}{:02x}{:02x}".format(*class_color(n)) for n, name in enumerate(CLASSES)
    }
    row = int(gallery.samples[0].id[1:])
    palette = np.array([class_color(number) for number in range(3)])
    pixels = np.asarray(sheet)[:8]
    assert (pixels[:, :8] == inputs[row].transpose(1, 2, 0)).all()
    assert (pixels[:, 8:16] == palette[masks[row]]).all()
    assert (pixels[:, 16:24] == palette[logits["student"][row].argmax(0)]).all()
    answer, label = logits["student"][row].argmax(0).numpy(), masks[row]
    iou = [((answer == c) & (label == c)).sum() / ((answer == c) | (label == c)).sum() for c in range(3)]
    assert gallery.samples[0].answers["student"].score == pytest.approx(np.mean(iou), rel=1e-5)


def test_boxes_are_drawn_and_images_without_labeled_boxes_have_no_score() -> None:
    box = [0.25, 0.25, 0.75, 0.75]
    labels = np.full((3, 2, 5), -1.0)
    labels[:2, 0] = [*box, 1]
    inputs = np.zeros((3, 1, 16, 16), dtype=np.uint8)
    context = context_of(Detection, inputs, labels, CLASSES, InputSpec(16, (0.5,), (0.5,), 1))
    empty = [0.0, 0, 0, 0, 0, -1]
    right, wrong = [*box, 0.9, 1], [0.0, 0, 0.2, 0.2, 0.8, 2]
    answers = {
        "student": torch.tensor([[right, empty], [wrong, empty], [wrong, empty]]),
        "ensemble": torch.tensor([[right, empty], [right, empty], [empty, empty]]),
    }
    gallery, sheet = made(context, answers)
    groups = by_kind(gallery)
    assert gallery.examined == 2
    assert (groups["student-worse"].count, groups["student-worse"].samples[0].id) == (1, "s1")
    assert "student-better" not in groups
    sample = groups["student-worse"].samples[0]
    assert (sample.label, sample.answers["student"].text) == ("b", "c\N{NO-BREAK SPACE}(0.80)")
    assert gallery.pictures == ("label", "student", "ensemble")
    side = sheet.width // 3
    pixels = np.asarray(sheet)
    edge = round(0.25 * (side - 1))
    assert tuple(pixels[side // 2, edge]) == class_color(2)
    assert tuple(pixels[side // 2, side // 2]) == (0, 0, 0)
