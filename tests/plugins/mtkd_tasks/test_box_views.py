"""The boxes of a teacher on several views of a sample become one set of boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from mtkd_tasks import box_views, boxes
from mtkd_tasks.detection import Detection

RIGHT = torch.tensor([[[1.0, 0.0, 0.2], [0.0, 1.0, 0.0]]])
"""View to sample: the view shows the sample moved left by a tenth of its width (coordinates from -1 to 1)."""
MIRRORED = torch.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
LARGER = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
BOX = [0.2, 0.3, 0.4, 0.5]


def task(**options: object) -> Detection:
    data = TaskData(("cat", "dog"), np.zeros((1, 1, 5), dtype=np.float32), InputSpec(32))
    return Detection(data, LossOptions(), **options)  # type: ignore[arg-type]


def answer(*rows: list[float]) -> Tensor:
    return boxes.best_first(torch.tensor([list(rows)])) if rows else boxes.empty(1)


def found(merged: Tensor) -> list[list[float]]:
    return [row.tolist() for row in merged[0] if row[4] > 0]


@pytest.mark.parametrize(
    ("affine", "in_view"),
    [
        (None, BOX),
        (RIGHT, [0.1, 0.3, 0.3, 0.5]),
        (MIRRORED, [0.6, 0.3, 0.8, 0.5]),
        (LARGER, [-0.1, 0.1, 0.3, 0.5]),
    ],
)
def test_boxes_move_to_the_view_and_back(affine: Tensor | None, in_view: list[float]) -> None:
    moved = box_views.into_view(answer([*BOX, 0.8, 1]), affine)
    clipped = [max(corner, 0) for corner in in_view]
    assert found(moved) == [pytest.approx([*clipped, 0.8, 1])]
    back = box_views.from_view(answer([*in_view, 0.8, 1]), affine)
    assert found(back) == [pytest.approx([*BOX, 0.8, 1])]
    assert (back[0, 1:, 5] == -1).all()


def test_boxes_outside_the_view_are_removed() -> None:
    moved = box_views.into_view(answer([0.0, 0.0, 0.1, 0.1, 0.9, 0], [*BOX, 0.8, 1]), LARGER)
    assert [row[5] for row in found(moved)] == [1]


def test_merged_box_is_the_weighted_mean_over_views() -> None:
    first, second = answer([0.2, 0.3, 0.4, 0.5, 0.9, 1]), answer([0.12, 0.3, 0.32, 0.5, 0.6, 1])
    (row,) = found(task().merge_views([first, second], [None, RIGHT]))
    x1 = (0.9 * 0.2 + 0.6 * 0.22) / 1.5
    assert row == pytest.approx([x1, 0.3, x1 + 0.2, 0.5, 0.75, 1])


def test_views_without_the_box_lower_its_score_if_they_show_it() -> None:
    edge = [0.0, 0.0, 0.2, 0.2]
    views = [answer([*edge, 0.8, 0]), answer()]
    assert [row[4] for row in found(task().merge_views(views, [None, None]))] == [pytest.approx(0.4)]
    assert [row[4] for row in found(task().merge_views(views, [None, LARGER]))] == [pytest.approx(0.8)]


def test_faint_boxes_are_not_merged() -> None:
    views = [answer([*BOX, 0.9 * box_views.FAINT, 0]), answer([*BOX, 0.9 * box_views.FAINT, 0])]
    assert found(task().merge_views(views, [None, None])) == []
