"""Task `detection`: labels, errors, merging and losses of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.errors import RecipeError, UsageError
from mtkd_cli.interfaces import (
    AggregationBatch,
    Alignment,
    DetectionTargets,
    InputSpec,
    LossOptions,
    Merged,
    TaskData,
)
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.reading.class_colors import class_color
from mtkd_cli.recipe.load import load
from mtkd_tasks.boxes import best_first, empty
from mtkd_tasks.detection import Detection
from mtkd_tasks.panels import GAP, PANEL, SWATCH

CLASSES = ("cat", "dog", "eel")
BOX, OTHER = [0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]
NOTHING = [0.0, 0, 0, 0, -1]
HIDDEN = [math.nan] * 5


def task(**options: object) -> Detection:
    data = TaskData(CLASSES, np.zeros((1, 1, 5), dtype=np.float32), InputSpec(32))
    return Detection(data, LossOptions(), **options)  # type: ignore[arg-type]


def answer(*boxes: list[float]) -> Tensor:
    return best_first(torch.tensor([list(boxes)])) if boxes else empty(1)


def merged(*outputs: Tensor, known: Tensor | None = None) -> Merged:
    return Merged(outputs, torch.full((len(outputs), len(outputs[0])), 1 / len(outputs)), known=known)


@dataclass
class Recorder:
    """A student in training that records its targets."""

    asked: list[tuple[DetectionTargets, float]] = field(default_factory=list)

    def loss(self, wanted: DetectionTargets, temperature: float) -> Tensor:
        self.asked.append((wanted, temperature))
        return torch.ones(len(wanted.boxes))


def test_samples_without_boxes_are_labeled() -> None:
    target = torch.tensor([[[*BOX, 0]], [NOTHING], [HIDDEN]])
    assert task().labeled(target).tolist() == [True, True, False]
    student = Recorder()
    assert task().task_loss(student, target).tolist() == [1, 1, 0]
    wanted, temperature = student.asked[0]
    assert wanted.labels.tolist() == [[0], [-1], [-1]]
    assert wanted.scores.tolist() == [[1], [0], [0]]
    assert torch.isfinite(wanted.boxes).all()
    assert temperature == 1


def test_targets_have_merged_scores() -> None:
    student = Recorder()
    task().kd_loss(student, merged(answer([*BOX, 0.8, 1]), answer()), 2.0)
    wanted, temperature = student.asked[0]
    assert wanted.boxes[0, 0].tolist() == pytest.approx(BOX)
    assert wanted.scores[0, 0].item() == pytest.approx(0.4)
    assert wanted.labels[0, :2].tolist() == [1, -1]
    assert (temperature, wanted.target_classes) == (2.0, None)


def test_classes_unknown_to_all_teachers_are_unspoken() -> None:
    known = torch.tensor([[True, True, False], [True, False, False]])
    student = Recorder()
    task().kd_loss(student, merged(answer([*BOX, 0.8, 1]), answer(), known=known), 1.0)
    wanted, _ = student.asked[0]
    assert wanted.target_classes is not None
    assert wanted.target_classes.tolist() == [[True, True, False]]
    assert wanted.scores[0, 0].item() == pytest.approx(0.8)  # only the first teacher knows dogs


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ([0.4, 0.1, 0.4, 0.3, 1], "x2 <= x1"),
        ([0.1, 0.5, 0.4, 0.3, 1], "y2 <= y1"),
        ([0.1, math.nan, 0.4, 0.3, 1], "NaN"),
        ([0.1, 0.1, 0.4, 0.3, 3], "not 0 to 2"),
        ([0.1, 0.1, 0.4, 0.3, 0.5], "not 0 to 2"),
        ([-0.1, 0.1, 0.4, 0.3, 1], "outside the image"),
        ([0.1, 0.1, 1.2, 0.3, 1], "outside the image"),
    ],
)
def test_rejects_invalid_labels(row: list[float], what: str) -> None:
    targets = np.array([[[*BOX, 0], NOTHING], [HIDDEN, HIDDEN], [[*BOX, 0], row]], dtype=np.float32)
    wrong = task().find_invalid_label(targets)
    assert wrong is not None
    assert wrong[0] == 2
    assert what in wrong[1]


def test_accepts_border_boxes_empty_images_and_hidden_labels() -> None:
    targets = np.array([[[0, 0, 1, 1, 2]], [NOTHING], [HIDDEN]], dtype=np.float32)
    assert task().find_invalid_label(targets) is None


def test_aligns_boxes_by_class_name() -> None:
    own = answer([*BOX, 0.9, 0], [*BOX, 0.8, 4], [*OTHER, 0.7, 2], [*OTHER, 0.6, 3])
    found = task().align(own, Alignment(((2,), (), (0, 3))))[0]
    there = found[found[:, 4] > 0]
    assert there[:, 4:].tolist() == [
        pytest.approx([0.9, 2]),
        pytest.approx([0.7, 0]),
        pytest.approx([0.6, 2]),
    ]
    assert ((found[:, 5] == -1) == (found[:, 4] == 0)).all()


def test_error_is_small_for_correct_boxes() -> None:
    target = torch.tensor([[[*BOX, 0], NOTHING], [HIDDEN, HIDDEN]])
    right, wrong = answer([*BOX, 0.9, 0]).repeat(2, 1, 1), answer([*BOX, 0.9, 1]).repeat(2, 1, 1)
    error = task().error((right, wrong), target)
    assert error.shape == (2, 2)
    assert error[0, 0] < 0.1 < 1 < error[1, 0]
    assert error[:, 1].tolist() == [0, 0]


def test_score_hits_are_boxes_that_find_a_label() -> None:
    own = task()
    label = torch.tensor([[[0.1, 0.1, 0.5, 0.5, 1.0]]])
    found = torch.tensor(
        [
            [
                [0.1, 0.1, 0.5, 0.5, 0.9, 1],  # finds it
                [0.1, 0.1, 0.5, 0.5, 0.8, 1],  # finds it again
                [0.1, 0.1, 0.5, 0.5, 0.7, 0],  # another class
                [0.6, 0.6, 0.9, 0.9, 0.6, 1],  # elsewhere
                [0, 0, 0, 0, 0, -1],
            ]
        ]
    )
    scores, hits = own.score_hits(found, label)
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert hits.tolist() == [True, False, False, False]
    changed = own.map_scores(found, lambda scores: scores / 2 + 0.5)
    assert changed[0, :, 4].tolist() == pytest.approx([0.95, 0.9, 0.85, 0.8, 0])
    assert torch.equal(changed[..., [0, 1, 2, 3, 5]], found[..., [0, 1, 2, 3, 5]])


def test_uncertainty_is_entropy_and_1_without_boxes() -> None:
    sure, unsure = answer([*BOX, 0.999, 0]), answer([*BOX, 0.5, 0])
    values = task().uncertainty((sure, unsure, answer()))[:, 0]
    assert values[0] < 0.02
    assert values[1:].tolist() == pytest.approx([1, 1])


def batch(*outputs: Tensor, target: Tensor, **more: object) -> AggregationBatch:
    names = tuple("abc"[: len(outputs)])
    whole = AggregationBatch(outputs, names, ("s",) * len(target), 1.0, 0.0, task(), target=target)
    return replace(whole, labeled=task().labeled(target), **more)  # type: ignore[arg-type]


def test_scores_teachers_on_known_classes() -> None:
    target = torch.tensor([[[*BOX, 0], [*OTHER, 1]]])
    known = torch.tensor([[True, False, True], [True, True, True]])
    asked = batch(answer([*BOX, 0.9, 0]), answer([*BOX, 0.9, 0]), target=target, known=known)
    assert asked.scores == pytest.approx((1.0, 0.5))
    assert asked.error[0, 0] < 0.1 < asked.error[1, 0]
    assert asked.usage_mask.all()


@pytest.mark.parametrize("name", ["mean", "weighted", "confidence", "entropy", "consensus", "best", "drop"])
def test_weighting_strategies_prefer_good_teacher(name: str, registry: Registry) -> None:
    target = torch.tensor([[[*BOX, 0], [*OTHER, 1]]] * 4)
    right = answer([*BOX, 0.95, 0], [*OTHER, 0.95, 1]).repeat(4, 1, 1)
    wrong = answer([*BOX, 0.7, 2], [*OTHER, 0.6, 2]).repeat(4, 1, 1)
    spec = registry.find("strategies", name).spec
    options = {option.name: option.default for option in spec.options}
    strategy = spec.load()(**options)
    asked = batch(right, right, wrong, target=target, draw=lambda _, shape: torch.full(shape, 0.9))
    asked = replace(asked, student_output=Recorder() if name == "drop" else None)
    if "validation" in spec.needs:
        strategy.fit(asked)
    weights = strategy.weights(asked)
    assert weights.sum(dim=0).tolist() == pytest.approx([1] * 4)
    if name not in ("mean", "drop"):
        assert (weights[0] > weights[2]).all()


def test_consensus_compares_shared_classes(registry: Registry) -> None:
    known = torch.tensor([[True, True, False], [True, True, True], [True, True, True]])
    target = torch.tensor([[HIDDEN]])
    outputs = answer([*BOX, 0.9, 0]), answer([*BOX, 0.9, 0], [*OTHER, 0.9, 2]), answer([*BOX, 0.9, 1])
    strategy = registry.find("strategies", "consensus").spec.load()(tau=1.0, by="sample")
    weights = strategy.weights(batch(*outputs, target=target, known=known))[:, 0]
    assert weights[0] > weights[2]


@pytest.mark.parametrize(
    "name", ["median", "trimmed-mean", "majority", "mean-logit", "stacking", "agreement"]
)
def test_rejects_averaging_strategies(name: str, registry: Registry) -> None:
    with pytest.raises(RecipeError) as caught:
        load("digit-scenes-det", [f"strategy={name}"], registry)
    (problem,) = caught.value.problems
    assert "detection" in problem.what


def test_metrics_skip_unlabeled_samples() -> None:
    target = torch.tensor([[[*BOX, 0], [*OTHER, 1]], [HIDDEN, HIDDEN]])
    output = answer([*BOX, 0.9, 0], [*BOX, 0.9, 2]).repeat(2, 1, 1)
    statistics = task().statistics(output, target)
    assert task().metrics(statistics) == {"map": 0.5, "ap50": 0.5, "ap75": 0.5}
    of_classes = task().details(statistics).per_class["ap"]
    assert of_classes[:2] == (1, 0)
    assert math.isnan(of_classes[2])


def test_rejects_outputs_of_other_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(4, 3\).*boxes, 6"):
        task().to_task_shape(torch.zeros(4, 3))
    with pytest.raises(ValueError, match="a dict"):
        task().to_task_shape({})


def test_picture_has_panel_per_model_and_legend() -> None:
    """Boxes are drawn in the colors of their classes; the legend has the classes that are drawn."""
    inputs = np.zeros((2, 1, 32, 32), dtype=np.uint8)
    target = torch.tensor([[[*BOX, 0]], [HIDDEN]])
    output = answer([*OTHER, 0.9, 1]).repeat(2, 1, 1)
    shown = task().picture(inputs, {"student": output, "teacher a": output}, target)
    assert shown.width == 3 * (PANEL + GAP) + GAP
    pixels = np.asarray(shown)
    drawn = {tuple(color) for color in pixels.reshape(-1, 3).tolist()}
    assert {class_color(1), class_color(2)} <= drawn
    assert class_color(3) not in drawn
    legend = {tuple(color) for color in pixels[-2 * SWATCH :].reshape(-1, 3).tolist()}
    assert {class_color(1), class_color(2)} <= legend


def test_rejects_class_weights() -> None:
    data = TaskData(CLASSES, np.zeros((1, 1, 5)), InputSpec(32))
    with pytest.raises(UsageError, match="no class weights"):
        Detection(data, LossOptions(class_weights="balanced"))
