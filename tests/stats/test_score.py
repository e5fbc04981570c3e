"""A task's metric is measured by what it declares to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap

from mtkd_cli.errors import PluginError
from mtkd_cli.interfaces import InputSpec, LossOptions, Metric, TaskData
from mtkd_cli.stats.score import estimates, score_of
from mtkd_tasks.classification import Classification
from mtkd_tasks.segmentation import Segmentation

DATA = TaskData(("a", "b"), np.array([0, 1]), InputSpec(size=2, channels=1))


def statistics(right: list[float]) -> torch.Tensor:
    column = torch.tensor(right)
    rest = torch.stack([torch.ones(len(right)), torch.full((len(right),), 0.9), column, column], dim=1)
    found = torch.cat([column[:, None], rest], dim=1)
    return found.masked_fill(column.isnan()[:, None], torch.nan)


def test_an_accuracy_has_wilsons_interval_and_mcnemars_test() -> None:
    task = Classification(DATA, LossOptions())
    every = score_of(task, statistics([1.0] * 20))
    assert every.estimate().low == pytest.approx(0.8389, abs=1e-4)
    seven = score_of(task, statistics([0.0] * 7 + [1.0] * 13))
    assert every.minus(seven).p == pytest.approx(2 / 2**7)
    assert every.minus(every).sure is False


def test_every_metric_has_an_interval_as_wide_as_that_of_resampling() -> None:
    task = Classification(DATA, LossOptions())
    draws = np.random.default_rng(0)
    found = statistics((draws.random(400) < 0.7).astype(float).tolist())
    nll = draws.gamma(2.0, 0.3, 400)
    found[:, 1] = torch.tensor(nll)
    intervals = estimates(task, found)
    assert list(intervals) == list(task.metrics(found))
    assert intervals["accuracy"] == score_of(task, found).estimate(), "exact of a share"
    resampled = bootstrap((nll,), np.mean, random_state=0, n_resamples=2000).confidence_interval
    assert intervals["nll"].value == pytest.approx(nll.mean(), rel=1e-6)
    width = intervals["nll"].high - intervals["nll"].low
    assert width == pytest.approx(resampled.high - resampled.low, rel=0.2)


def test_samples_without_a_label_do_not_count() -> None:
    task = Classification(DATA, LossOptions())
    found = score_of(task, statistics([1.0, 0.0, float("nan"), 1.0]))
    assert found.value == pytest.approx(2 / 3)
    assert found.estimate().low == pytest.approx(0.2077, abs=1e-4), "Wilson's of 2 of 3"


def test_any_other_metric_is_measured_without_each_sample() -> None:
    task = Segmentation(DATA, LossOptions())
    pixels = torch.randint(0, 2, (30, 2, 2), generator=torch.Generator().manual_seed(0))
    answers = pixels.clone()
    answers[::3, 0, 0] = 1 - answers[::3, 0, 0]
    found = score_of(
        task, task.statistics(torch.nn.functional.one_hot(answers, 2).movedim(3, 1).float(), pixels)
    )
    assert len(found.without) == 30
    estimate = found.estimate()
    assert 0.5 < estimate.low < found.value < estimate.high < 1


def test_a_metric_that_is_not_the_mean_it_declares_is_refused() -> None:
    task = Classification(DATA, LossOptions())
    task.primary = Metric("accuracy", mean_of=2)
    with pytest.raises(PluginError, match="the mean of column 2"):
        score_of(task, statistics([1.0] * 20))
