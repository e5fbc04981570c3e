"""Views and labels of a step are those of its samples, and of the view that its epoch shows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd_cli.data.dataset import Split
from mtkd_cli.interfaces import InputSpec, LossOptions, Samples, TaskData
from mtkd_cli.recipe.schema import Augment
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData
from mtkd_tasks.classification import Classification
from mtkd_tasks.segmentation import Segmentation

IMAGES = np.random.default_rng(0).integers(0, 3, (6, 1, 8, 8)).astype(np.uint8)
ROWS = np.array([5, 1, 3])


def data(targets: np.ndarray, task: type, view_count: int | None, augment: Augment) -> TrainingData:
    about = TaskData(("a", "b", "c"), targets, InputSpec(size=8))
    samples = Samples(tuple(f"s{i}" for i in range(6)), IMAGES, targets)
    split = Split("train", samples, "digest")
    made = task(about, LossOptions())
    return TrainingData(made, split, ROWS, view_count, 0, augment, torch.device("cpu"))


def step(epoch: int) -> Step:
    return Step(0, epoch, 0.0, np.array([0, 2]))


def test_indices_count_the_chosen_rows() -> None:
    found = data(np.array([0, 1, 2, 0, 1, 2]), Classification, None, Augment())
    assert len(found) == 3
    assert found.labels(step(0)).tolist() == [2, 0]
    assert torch.equal(found.views(step(0)), torch.from_numpy(IMAGES[[5, 3]]).float() / 255)
    assert found.teacher_outputs(step(0)) == ()


@pytest.mark.parametrize(("view_count", "numbers"), [(None, [1, 2, 3]), (1, [0, 0, 0]), (2, [0, 1, 0])])
def test_epochs_cycle_through_recorded_views_and_else_show_new_ones(
    view_count: int | None, numbers: list[int]
) -> None:
    found = data(np.zeros(6, dtype=np.int64), Classification, view_count, Augment())
    assert [found.view_number(epoch) for epoch in range(3)] == numbers


def test_maps_of_labels_are_flipped_as_their_views_are() -> None:
    """The label of each pixel is its value, so both stay equal however they are flipped."""
    found = data(IMAGES[:, 0].astype(np.int64), Segmentation, None, Augment(flip=True))
    flipped = False
    for epoch in range(8):
        views, labels = found.views(step(epoch)), found.labels(step(epoch))
        assert torch.equal((views[:, 0] * 255).round().long(), labels.long())
        flipped |= not torch.equal(labels.long(), torch.from_numpy(IMAGES[[5, 3], 0]).long())
    assert flipped
