"""The boxes that a student learns in a view are those of all recorded views of the sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.recipe.schema import Augment
from mtkd_cli.teachers.distillation_data import DistillationData
from mtkd_cli.training.loop import Step
from mtkd_cli.training.training_data import TrainingData
from tests.fixtures.small_runs import Contexts

SMALL = ("data.scenes=40", "data.test_scenes=10", "data.labels=30", "fit.labels=student")
SCORES = (0.9, 0.6)
"""Score of a perfect teacher's boxes in each of two views."""


@dataclass(frozen=True)
class Perfect:
    """A teacher that finds all labels in each view, with the view's score."""

    data: TrainingData
    name: str = "perfect"
    by_id: bool = False

    def recorded_outputs(self, split: str, number: int, rows: Any) -> Tensor:
        assert split == "train"
        return self.found(number, rows, SCORES[number])

    def found(self, number: int, rows: Any, score: float) -> Tensor:
        """Return the labels in a view as boxes ``[B, M, 6]``."""
        labels = self.data.labels(Step(0, number, 0.0, np.asarray(rows))).target
        scores = torch.where(labels[..., 4] >= 0, score, 0.0)
        return torch.cat([labels[..., :4], scores.unsqueeze(-1), labels[..., 4:]], dim=-1)


@pytest.fixture
def data(context: Contexts) -> DistillationData:
    run = context(*SMALL, recipe="digit-scenes-det")
    split, augment = run.data.all_labels, run.recipe.augment
    labels = TrainingData(run.task, split, np.arange(len(split)), 2, 0, augment, run.device)
    teacher: Any = Perfect(labels)
    return DistillationData(**labels.settings(), teachers=(teacher,))


def test_perfect_boxes_stay_perfect_and_get_the_mean_score(data: DistillationData) -> None:
    (teacher,), rows = data.teachers, np.arange(len(data))
    assert isinstance(teacher, Perfect)
    for epoch in (0, 1):
        (merged,) = data.teacher_outputs(Step(0, epoch, 0.0, rows))
        expected = teacher.found(epoch, rows, sum(SCORES) / 2)
        checked = 0
        for own, wanted in zip(merged, expected, strict=True):
            for box in wanted[wanted[:, 4] > 0]:
                if box[:4].min() < 0.12 or box[:4].max() > 0.88:
                    continue  # one of the views may cut it
                best = own[(own[:, :4] - box[:4]).abs().amax(dim=1).argmin()]
                assert best.tolist() == pytest.approx(box.tolist(), abs=1e-3)
                checked += 1
        assert checked > 10


@pytest.mark.parametrize(
    ("settings", "augment", "expected"),
    [
        ({}, {"shift": 0.1, "flip": True}, True),
        ({}, {"rotate": 10}, False),
        ({}, {"crop": 0.8}, False),
        ({}, {"resized_crop": 0.8}, False),
        ({"view_count": 1}, {}, False),
        ({"view_count": None}, {}, False),
        ({"raise_on_gaps": False}, {}, False),
    ],
)
def test_merges_only_whole_and_upright_recorded_views(
    data: DistillationData, settings: dict[str, Any], augment: dict[str, Any], expected: bool
) -> None:
    changed = {**data.settings(), **settings, "augment": Augment(**augment)}
    assert DistillationData(**changed).merges_views is expected
