"""Task `segmentation`: losses, metrics and views of masks."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_cli.data.views import affine, view
from mtkd_cli.interfaces import InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.reading.class_colors import NO_LABEL, class_color
from mtkd_cli.recipe.schema import Augment, Loss, Store
from mtkd_cli.store.row_format import Layout
from mtkd_tasks.segmentation import Segmentation

CLASSES = ("background", "a", "b", "c", "d")
SIDE = 6


def task(
    targets: Any = None, kd: str = "kl", classes: tuple[str, ...] = CLASSES, **loss: Any
) -> Segmentation:
    targets = np.zeros((1, SIDE, SIDE), dtype=np.int16) if targets is None else targets
    return Segmentation(TaskData(classes, targets, InputSpec(size=SIDE, channels=1)), LossOptions(**loss), kd)


def maps(number: int, seed: int = 0, classes: int = 5, side: int = SIDE) -> Tensor:
    return torch.randn(number, 2, classes, side, side, generator=torch.Generator().manual_seed(seed)) * 2


def mask(seed: int = 0, unlabeled: float = 0.3) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 5, (2, SIDE, SIDE), generator=random)
    return drawn.masked_fill(torch.rand(drawn.shape, generator=random) < unlabeled, -1).to(torch.int16)


def test_unlabeled_pixels_do_not_count() -> None:
    (output,), target = maps(1), mask()
    ignored = target < 0
    other = torch.where(ignored[:, None], torch.randn(output.shape), output)
    given = task(class_weights=(1.0, 2.0, 3.0, 4.0, 5.0))
    assert (given.task_loss(output, target)[ignored] == 0).all()
    assert (given.error([output], target)[0][ignored] == 0).all()
    assert torch.equal(given.labeled(target), ~ignored)
    assert torch.equal(given.statistics(output, target), given.statistics(other, target))


def test_task_loss_is_weighted_cross_entropy() -> None:
    (output,), target = maps(1), mask(unlabeled=0)
    weights = (0.5, 1.0, 2.0, 3.0, 4.0)
    loss = task(class_weights=weights).task_loss(output, target)
    expected = -output.log_softmax(1).gather(1, target[:, None].long())[:, 0]
    torch.testing.assert_close(loss, expected * torch.tensor(weights)[target.long()])


def test_balanced_weights_count_labeled_pixels() -> None:
    targets = np.array([[[0, 0, 0], [0, 0, 0], [1, -1, -1]]], dtype=np.int16)
    weights = task(targets, class_weights="balanced").class_weights
    assert weights is not None
    torch.testing.assert_close(weights[:2], torch.tensor([7 / 6 / 2, 7 / 2]))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_weighted_kd_to_one_hot_teacher_equals_task_loss(temperature: float) -> None:
    """Class weights have the same effect in both losses."""
    (student,), target = maps(1), mask(unlabeled=0).long()
    given = task(class_weights=(0.5, 1.0, 2.0, 3.0, 4.0))
    teacher = F.one_hot(target, 5).movedim(-1, 1) * 1e4
    merged = Merged((teacher.float(),), torch.ones(1, 2, SIDE, SIDE))
    kd = given.kd_loss(student, merged, temperature)
    torch.testing.assert_close(kd, temperature**2 * given.task_loss(student / temperature, target))


def test_weighted_kd_gradient() -> None:
    student, *teachers = maps(4)
    student.requires_grad_()
    weights = torch.softmax(torch.randn(3, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1)), 0)
    classes = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0])
    given = task(class_weights=tuple(classes.tolist()))
    (found,) = torch.autograd.grad(
        given.kd_loss(student, Merged(tuple(teachers), weights), 1.0).sum(), student
    )
    mixture = (weights[:, :, None] * torch.stack(teachers).softmax(2)).sum(0)
    loss = -(classes.view(-1, 1, 1) * mixture * student.log_softmax(1)).sum()
    torch.testing.assert_close(found, torch.autograd.grad(loss, student)[0], atol=1e-5, rtol=1e-4)


def test_kd_is_nonnegative_and_0_to_itself() -> None:
    student, teacher = maps(2)
    ones = torch.ones(1, 2, SIDE, SIDE)
    for kd in ("kl", "cwd"):
        assert (task(kd=kd).kd_loss(student, Merged((teacher,), ones), 2.0) > 0).all()
        assert task(kd=kd).kd_loss(student, Merged((student,), ones), 2.0).abs().max() < 1e-5


def test_cwd_closed_form() -> None:
    student, first, second = maps(3)
    weights = torch.cat([torch.full((1, 2, SIDE, SIDE), 0.25), torch.full((1, 2, SIDE, SIDE), 0.75)])
    loss = task(kd="cwd").kd_loss(student, Merged((first, second), weights), 3.0)

    def divergence(sample: int, channel: int, teacher: Tensor) -> Tensor:
        p, q = (torch.softmax(m[sample, channel].flatten() / 3, 0) for m in (teacher, student))
        return 9 * (p * (p / q).log()).sum()

    pairs = ((0.25, first), (0.75, second))
    for sample in range(2):
        expected = sum(w * divergence(sample, c, t) for w, t in pairs for c in range(5)) / 5
        torch.testing.assert_close(loss[sample], torch.full((SIDE, SIDE), float(expected)))


def test_cwd_ignores_unknown_classes() -> None:
    student, teacher = maps(2)
    known = torch.tensor([[True, True, False, True, True]])
    given, ones = task(kd="cwd"), torch.ones(1, 2, SIDE, SIDE)
    other = teacher.clone()
    other[:, 2] = -1e9
    first, second = (given.kd_loss(student, Merged((t,), ones, known=known), 1.0) for t in (teacher, other))
    torch.testing.assert_close(first, second)


def test_matches_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

    (output,), target = maps(1), mask()
    given = task()
    statistics = given.statistics(output, target)
    metrics, iou = given.metrics(statistics), given.details(statistics).per_class["iou"]
    answer, label = output.argmax(1), target.long()
    expected = multiclass_jaccard_index(answer, label, 5, average="none", ignore_index=-1)
    assert iou == pytest.approx(expected.tolist())
    assert next(iter(metrics)) == "miou"
    assert metrics["miou"] == pytest.approx(expected.mean().item())
    accuracy = multiclass_accuracy(answer, label, 5, average="micro", ignore_index=-1)
    assert metrics["pixel_accuracy"] == pytest.approx(accuracy.item())


def test_absent_class_does_not_lower_mean_iou() -> None:
    target = torch.zeros(1, SIDE, SIDE, dtype=torch.int16)
    output = F.one_hot(target.long(), 5).movedim(-1, 1).float()
    statistics = task().statistics(output, target)
    assert task().metrics(statistics)["miou"] == 1
    assert math.isnan(task().details(statistics).per_class["iou"][3])


def test_statistics_are_additive() -> None:
    (output,), target = maps(1), mask()
    both = task().statistics(output, target)
    each = torch.cat([task().statistics(output[[n]], target[[n]]) for n in range(2)])
    assert torch.equal(both, each)


@pytest.mark.parametrize("augment", [{"flip": True}, {"rotate": 40, "shift": 0.2, "zoom": 0.3, "flip": True}])
def test_mask_follows_image(augment: dict[str, Any]) -> None:
    """The nearest pixel has at least a quarter of the bilinear weight."""
    side = 16
    given = Segmentation(TaskData(CLASSES, np.zeros((1, side, side)), InputSpec(size=side)), LossOptions())
    labels = torch.randint(0, 5, (8, side // 4, side // 4), generator=torch.Generator().manual_seed(0))
    masks = labels.repeat_interleave(4, 1).repeat_interleave(4, 2).to(torch.int16)
    ids, policy = np.arange(8, dtype=np.uint64), Augment(**augment)
    for number in (1, 2):
        places = affine(ids, number, 0, policy)
        assert places is not None
        moved = given.transform_labels(masks, places)
        for label in range(5):
            image = ((masks == label) * 255).to(torch.uint8)[:, None].numpy()
            shown = view(image, ids, number, 0, policy)[:, 0]
            assert (moved[shown > 0.76] == label).all()
            assert (moved[shown < 0.24] != label).all()


def test_moved_pixels_stay_unlabeled() -> None:
    target = torch.full((2, SIDE, SIDE), -1, dtype=torch.int16)
    places = affine(np.arange(2, dtype=np.uint64), 1, 0, Augment(rotate=30.0))
    assert places is not None
    assert torch.equal(task().transform_labels(target, places), target)


def test_resizes_outputs_to_grid() -> None:
    small = torch.arange(4.0).view(1, 1, 2, 2).expand(1, 5, 2, 2)
    to_task_shape = task().to_task_shape({"out": small, "aux": None})
    assert to_task_shape.shape == (1, 5, SIDE, SIDE)
    assert (to_task_shape[0, 0, 0, 0], to_task_shape[0, 0, -1, -1]) == (0, 3)
    assert task().to_task_shape(small.repeat(1, 1, 3, 3)).shape == (1, 5, SIDE, SIDE)


def test_one_foreground_logit_becomes_two_classes() -> None:
    logit = torch.randn(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    to_task_shape = task(classes=("background", "crack")).to_task_shape(logit)
    torch.testing.assert_close(to_task_shape.softmax(1)[:, 1], logit[:, 0].sigmoid())


@pytest.mark.parametrize("output", [torch.zeros(2, 5), "a mask", {"boxes": torch.zeros(1)}])
def test_rejects_outputs_of_other_shapes(output: object) -> None:
    with pytest.raises(ValueError, match="the task needs"):
        task().to_task_shape(output)


def recipe(temperature: float = 1, calibrate: bool = False, **store: Any) -> Any:
    return SimpleNamespace(store=Store(**store), loss=Loss(temperature=temperature), calibrate=calibrate)


def test_records_top_4_classes_per_pixel() -> None:
    (output,) = maps(1, classes=9)
    classes = tuple("abcdefghi")
    layout = Layout.for_recipe((9, SIDE, SIDE), recipe(), task(classes=classes))
    assert layout.top_k == 4
    back = layout.decode(layout.encode(output)).softmax(1)
    wanted, kept = output.softmax(1), output.topk(4, 1).indices
    torch.testing.assert_close(back.gather(1, kept), wanted.gather(1, kept), atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(back.sum(1), torch.ones(2, SIDE, SIDE), atol=1e-4, rtol=0)
    assert (
        layout.dtype.itemsize < Layout.for_recipe((9, SIDE, SIDE), recipe(top_k=None), task()).dtype.itemsize
    )
    assert Layout.for_recipe((9, SIDE, SIDE), recipe(), task(kd="cwd")).top_k is None
    assert Layout.for_recipe((9, SIDE, SIDE), recipe(temperature=2), task()).top_k is None
    assert Layout.for_recipe((9, SIDE, SIDE), recipe(calibrate=True), task()).top_k is None


def test_picture_has_mask_per_model_and_color_per_class() -> None:
    (output,), target = maps(1), mask()
    picture = task().picture(
        np.zeros((2, 1, SIDE, SIDE), np.uint8), {"student": output, "alone": output}, target
    )
    found = {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}
    assert {NO_LABEL, *(class_color(number) for number in range(5))} <= found
    assert len({class_color(number) for number in range(-1, 150)}) == 151
