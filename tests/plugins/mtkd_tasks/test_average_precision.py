"""Average precision, against hand-computed values and torchmetrics."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_tasks.average_precision import average_precision, facts
from mtkd_tasks.boxes import best_first, empty

BOX, OTHER = [0.1, 0.1, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]


def precision(answers: Tensor, targets: Tensor, classes: int = 2) -> np.ndarray:
    return average_precision(facts(answers, targets, classes), classes)


def answer(*boxes: list[float]) -> Tensor:
    return best_first(torch.tensor([list(boxes)])) if boxes else empty(1)


def test_all_found_is_1_and_none_found_is_0() -> None:
    target = torch.tensor([[[*BOX, 0], [*OTHER, 0]]])
    assert precision(answer([*BOX, 0.9, 0], [*OTHER, 0.5, 0]), target)[0].tolist() == [1] * 10
    assert precision(answer(), target)[0].tolist() == [0] * 10
    assert np.isnan(precision(answer(), target)[1]).all()


def test_confident_false_positive_lowers_precision() -> None:
    target = torch.tensor([[[*BOX, 0]]])
    assert precision(answer([*BOX, 0.9, 0], [*OTHER, 0.5, 0]), target)[0, 0] == 1
    assert precision(answer([*BOX, 0.5, 0], [*OTHER, 0.9, 0]), target)[0, 0] == pytest.approx(0.5)
    assert precision(answer([*BOX, 0.9, 1]), target)[0, 0] == 0


def test_matches_each_box_once() -> None:
    target = torch.tensor([[[*BOX, 0], [*OTHER, 0]]])
    twice = precision(answer([*BOX, 0.9, 0], [*BOX, 0.8, 0]), target)[0, 0]
    assert twice == pytest.approx(51 / 101)  # recall 1/2 at precision 1


def test_overlap_thresholds() -> None:
    target = torch.tensor([[[0.0, 0.0, 0.4, 0.4, 0]]])
    shifted = [0.0, 0.0, 0.4, 0.25]  # overlap 0.625
    assert precision(answer([*shifted, 0.9, 0]), target)[0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def test_boxes_in_empty_image_are_false_positives() -> None:
    targets = torch.tensor([[[*BOX, 0]], [[0.0, 0, 0, 0, -1]]])
    answers = torch.cat([answer([*BOX, 0.5, 0]), answer([*BOX, 0.9, 0])])
    assert precision(answers, targets)[0, 0] == pytest.approx(0.5)


def scene(seed: int, classes: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    count = int(torch.randint(0, 5, (1,), generator=draw))
    corners = torch.rand(4, 2, generator=draw) * 0.6
    boxes = torch.cat([corners, corners + 0.1 + torch.rand(4, 2, generator=draw) * 0.3], dim=1)
    labels = torch.randint(0, classes, (4, 1), generator=draw).float()
    target = torch.cat([boxes, labels], dim=1)
    target[count:] = torch.tensor([0.0, 0, 0, 0, -1])
    noisy = boxes.repeat(3, 1) + torch.randn(12, 4, generator=draw) * 0.02
    scores = torch.rand(12, 1, generator=draw)
    rows = torch.cat([noisy, scores, labels.repeat(3, 1)], dim=1)
    return best_first(rows[None]), target[None]


def test_matches_torchmetrics() -> None:
    from torchmetrics.detection import MeanAveragePrecision

    classes = 3
    scenes = [scene(seed, classes) for seed in range(40)]
    answers, targets = (torch.cat(parts) for parts in zip(*scenes, strict=True))
    oracle = MeanAveragePrecision(backend="faster_coco_eval", class_metrics=True)
    for found, target in zip(answers, targets, strict=True):
        found, target = found[found[:, 4] > 0], target[target[:, 4] >= 0]
        shown = {"boxes": found[:, :4] * 640, "scores": found[:, 4], "labels": found[:, 5].long()}
        oracle.update([shown], [{"boxes": target[:, :4] * 640, "labels": target[:, 4].long()}])
    expected, found = oracle.compute(), precision(answers, targets, classes)
    assert found.mean() == pytest.approx(expected["map"].item(), abs=1e-6)
    assert found[:, 0].mean() == pytest.approx(expected["map_50"].item(), abs=1e-6)
    assert found[:, 5].mean() == pytest.approx(expected["map_75"].item(), abs=1e-6)
    assert found.mean(axis=1).tolist() == pytest.approx(expected["map_per_class"].tolist(), abs=1e-6)
