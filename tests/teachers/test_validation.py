"""Doubts about a teacher, found from its outputs on the labeled validation samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mtkd_cli.interfaces import Alignment, InputSpec, LossOptions, TaskData
from mtkd_cli.teachers.input_alternatives import alternatives
from mtkd_cli.teachers.validation import TeacherValidation, validate_outputs
from mtkd_tasks.classification import Classification
from mtkd_tasks.detection import Detection
from mtkd_tasks.regression import Regression
from mtkd_tasks.segmentation import Segmentation

NAMES = tuple("abcdefghij")
IDENTITY = Alignment(tuple((number,) for number in range(10)))
TASK = Classification(TaskData(NAMES, np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())


def logits(answer: Tensor, seed: int = 0) -> Tensor:
    """Return logits ``[N, 10]`` whose largest is that of ``answer [N]``."""
    noise = torch.rand(len(answer), 10, generator=torch.Generator().manual_seed(seed))
    return 4.0 * nn.functional.one_hot(answer, 10) + noise


def labels(count: int) -> Tensor:
    return torch.arange(count) % 10


def often_right(target: Tensor, accuracy: float, seed: int) -> Tensor:
    """Return predictions of which about ``accuracy`` are right and the others random."""
    draw = torch.Generator().manual_seed(seed)
    wrong = torch.randint(10, target.shape, generator=draw)
    return torch.where(torch.rand(target.shape, generator=draw) < accuracy, target, wrong)


def doubts(answer: Tensor, target: Tensor, alignment: Alignment = IDENTITY) -> str:
    return "\n".join(map(str, validate_outputs(logits(answer), target, TASK, NAMES, alignment).doubts))


@pytest.mark.parametrize("count", [20, 60, 500])
def test_no_doubts_about_good_teacher(count: int) -> None:
    found = validate_outputs(logits(labels(count)), labels(count), TASK, NAMES, IDENTITY)
    assert found.metrics["accuracy"] == 1.0
    assert found.chance == pytest.approx(0.1, abs=0.1)
    assert found.doubts == ()


def test_random_outputs_are_no_better_than_chance() -> None:
    found = [
        doubts(torch.randint(10, (100,), generator=torch.Generator().manual_seed(seed)), labels(100))
        for seed in range(20)
    ]
    assert sum("no better than chance on validation: accuracy" in each for each in found) >= 18


def test_mediocre_teachers_rarely_look_permuted() -> None:
    for count, accuracy in ((20, 0.5), (40, 0.3), (200, 0.4)):
        found = [doubts(often_right(labels(count), accuracy, seed), labels(count)) for seed in range(30)]
        assert sum("permuted" in each for each in found) <= 1


@pytest.mark.parametrize("count", [20, 100])
def test_reports_reversed_classes(count: int) -> None:
    found = doubts(9 - labels(count), labels(count))
    assert "0% right as declared, 100% if they are in reverse order" in found
    assert "set classes: [j, i, h, g, f, e, d, c, b, a]" in found


def test_few_predicted_classes_are_not_permuted() -> None:
    """Two swapped classes stand out of noise, but do not make the teacher right."""
    few = torch.where(labels(200) == 1, 0, torch.where(labels(200) == 0, 1, 5))
    assert "permuted" not in doubts(few, labels(200))


def test_reports_shift_and_swap() -> None:
    assert "each is shifted by 1" in doubts((labels(100) + 1) % 10, labels(100))
    swapped = labels(200)
    swapped = torch.where(swapped == 2, 7, torch.where(swapped == 7, 2, swapped))
    found = doubts(swapped, labels(200))
    assert "80% right as declared, 100% if its 'h' means 'c', its 'c' means 'h'" in found
    assert "set classes: [a, b, h, d, e, f, g, c, i, j]" in found


def test_hint_lists_classes_in_output_order() -> None:
    """The teacher declares its classes backwards, which is wrong: its outputs are in the data's order."""
    backwards = Alignment(tuple((9 - number,) for number in range(10)))
    assert "set classes: [a, b, c, d, e, f, g, h, i, j]" in doubts(9 - labels(60), labels(60), backwards)


def test_reports_dominant_class_unless_labels_are_skewed() -> None:
    assert "it predicts 'd' 100% of the time, but 10% of the labels are" in doubts(
        torch.full((50,), 3), labels(50)
    )
    mostly = torch.where(torch.arange(50) < 46, 3, labels(50))
    assert "of the time" not in doubts(torch.where(torch.arange(50) < 48, 3, labels(50)), mostly)


@pytest.mark.parametrize("target", [labels(9), torch.full((60,), 4), torch.full((60,), -1)])
def test_no_doubts_with_too_few_labels(target: Tensor) -> None:
    answers = torch.randint(10, target.shape, generator=torch.Generator().manual_seed(1))
    assert doubts(answers, target) == ""


def test_ignores_labels_of_unknown_classes() -> None:
    knows_five = Alignment(tuple((number,) if number < 5 else () for number in range(10)))
    outputs = logits(labels(60) % 5)
    outputs[:, 5:] = -1e9
    found = validate_outputs(outputs, labels(60), TASK, NAMES, knows_five)
    assert (found.labels, found.metrics["accuracy"], found.doubts) == (30, 1.0, ())


def test_ignores_nonfinite_outputs() -> None:
    outputs = logits(labels(40))
    outputs[::2] = torch.nan
    found = validate_outputs(outputs, labels(40), TASK, NAMES, IDENTITY)
    assert (found.labels, found.doubts) == (20, ())


def regression(values: Tensor, target: Tensor) -> TeacherValidation:
    task = Regression(TaskData(("y",), target.numpy(), InputSpec()), LossOptions())
    return validate_outputs(values, target, task, ("y",), Alignment(((0,),)))


def test_unrelated_values_are_no_better_than_chance() -> None:
    draw = torch.Generator().manual_seed(0)
    target = torch.randn(80, 1, generator=draw)
    assert regression(target + 0.3 * torch.randn(80, 1, generator=draw), target).doubts == ()
    (doubt,) = regression(torch.randn(80, 1, generator=draw), target).doubts
    assert "better than chance on validation: " in doubt.what
    (unit,) = regression(1000 * target + 5000, target).doubts
    assert "barely better than chance" in unit.what or "no better than chance" in unit.what


def test_reports_swapped_classes_of_maps() -> None:
    task = Segmentation(
        TaskData(("road", "sky"), np.zeros(1, dtype=np.int64), InputSpec(size=6)), LossOptions()
    )
    target = torch.randint(2, (20, 6, 6), generator=torch.Generator().manual_seed(0))
    outputs = nn.functional.one_hot(1 - target, 2).movedim(-1, 1).float() * 5
    found = validate_outputs(outputs, target, task, ("road", "sky"), Alignment(((0,), (1,))))
    assert "its 'sky' means 'road', its 'road' means 'sky'" in "\n".join(map(str, found.doubts))


def test_wrong_boxes_are_no_better_than_chance() -> None:
    task = Detection(TaskData(("a",), np.zeros((1, 1, 5), dtype=np.float32), InputSpec()), LossOptions())
    corner = torch.linspace(0, 0.5, 20)
    target = torch.stack([corner, corner, corner + 0.3, corner + 0.3, torch.zeros(20)], dim=1)[:, None]
    right = torch.cat([target[..., :4], torch.full((20, 1, 1), 0.9), target[..., 4:]], dim=2)
    wrong = right.clone()
    wrong[..., 0], wrong[..., 1] = 0.95, 0.95
    wrong[..., 2:4] = 1.0
    assert validate_outputs(right, target, task, ("a",), Alignment(((0,),))).doubts == ()
    (doubt,) = validate_outputs(wrong, target, task, ("a",), Alignment(((0,),))).doubts
    assert "no better than chance on validation: mAP 0 on 20 labels" in doubt.what


def test_input_alternatives_differ_from_present() -> None:
    data = InputSpec(size=8, channels=3, mean=(0.4,) * 3, std=(0.2,) * 3)
    present = InputSpec(size=8, channels=3, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    found = {each.name: each for each in alternatives(present, data)}
    assert all(each.spec != present for each in found.values())
    assert "ImageNet's mean and std" not in found
    assert found["channels in bgr order"].spec.mean == (0.406, 0.456, 0.485)
    assert found["channels in bgr order"].key(present).startswith("input: {order: bgr, mean: [0.406, 0.456")
    assert found["values from 0 to 255"].key(present).startswith("input: {range: [0, 255], mean: [0, 0, 0]")
    back = next(
        each for each in alternatives(found["values from 0 to 255"].spec, data) if "no n" in each.name
    )
    assert "range: [0, 1]" in back.key(found["values from 0 to 255"].spec)
    assert not list(alternatives(InputSpec(raw=True), data))
