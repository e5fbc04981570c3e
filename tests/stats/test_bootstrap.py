"""Intervals over samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtkd_cli.interfaces import LossOptions, TaskData
from mtkd_cli.interfaces.models import InputSpec
from mtkd_cli.stats import bootstrap
from mtkd_tasks.classification import Classification

DRAWS = 300


@pytest.fixture
def task() -> Classification:
    data = TaskData(("a", "b"), np.array([0, 1]), InputSpec(size=8, channels=1))
    return Classification(data, LossOptions())


def statistics(right: np.ndarray) -> torch.Tensor:
    columns = [torch.from_numpy(right).float(), torch.ones(len(right)), torch.full((len(right),), 0.9)]
    return torch.stack(columns, dim=1)


def test_the_interval_of_an_accuracy_is_the_textbooks(task: Classification) -> None:
    right = np.arange(1000) % 10 < 8
    found = bootstrap.estimate(0.8, bootstrap.scores(task, statistics(right), DRAWS))
    expected = 1.96 * (0.8 * 0.2 / 1000) ** 0.5
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.12)
    assert found.low < 0.8 < found.high


def test_differences_are_paired_so_equal_answers_differ_by_nothing(task: Classification) -> None:
    right = np.arange(200) % 3 > 0
    draws = bootstrap.scores(task, statistics(right), DRAWS)
    same = bootstrap.difference((0.6, draws), (0.6, draws.copy()))
    assert (same.low, same.high, same.sure) == (0.0, 0.0, False)
    worse = right.copy()
    worse[right.nonzero()[0][:20]] = False
    found = bootstrap.difference((0.1, draws), (0.0, bootstrap.scores(task, statistics(worse), DRAWS)))
    assert found.sure
    assert found.high - found.low < 0.12, "far below what unpaired draws would give"


def test_means_weigh_samples_by_what_is_labelled_in_them() -> None:
    values, counts = np.array([2.0, 0.0, 9.0]), np.array([2, 0, 3])
    found = bootstrap.means(values, counts, DRAWS)
    assert found.min() == 0.0
    assert found.max() == 3.0
