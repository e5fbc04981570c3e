"""Evaluation uses view 0 of the labeled samples and does not change the module."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mtkd_cli.data.dataset import Split
from mtkd_cli.interfaces import InputSpec, LossOptions, Metric, Samples, TaskData
from mtkd_cli.training import evaluation as evaluation_module
from mtkd_cli.training.evaluation import BATCH, judge, measure, plain_views, row_predictor, validate
from mtkd_cli.training.selection import smooth
from mtkd_cli.training.state import Evaluation
from mtkd_tasks.classification import Classification

TASK = Classification(TaskData(("a", "b", "c"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())


def split(n: int, hidden: int = 0) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (n, 1, 2, 2), dtype=np.uint8)
    targets = np.arange(n) % 3
    targets[:hidden] = -1
    return Split("val", Samples(tuple(map(str, range(n))), images, targets), "digest")


def answers(right: int, n: int) -> torch.Tensor:
    """Return outputs, the first ``right`` of them correct, each with a margin of 2."""
    target = torch.arange(n) % 3
    return 2.0 * nn.functional.one_hot(torch.where(torch.arange(n) < right, target, (target + 1) % 3), 3)


@pytest.mark.parametrize("n", [1, BATCH, BATCH + 1, 2 * BATCH + 7])
def test_batches_cover_every_sample_once(n: int) -> None:
    data = split(n)
    shown = list(plain_views(data))
    assert torch.equal(torch.cat(shown), torch.from_numpy(data.samples.inputs).float() / 255)
    sizes = [len(batch) for batch in shown]
    assert max(sizes) <= BATCH
    assert max(sizes) - min(sizes) <= 1


def test_rows_keep_their_order() -> None:
    data = split(9)
    (shown,) = plain_views(data, np.array([5, 2]))
    assert torch.equal(shown, torch.from_numpy(data.samples.read(np.array([5, 2]))).float() / 255)


def test_outputs_are_float32_without_gradient_or_dropout() -> None:
    data = split(5)
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5)).double().train()
    output = row_predictor(nn.Sequential(module), data)(np.arange(5))
    assert torch.equal(output, torch.from_numpy(data.samples.inputs).float().flatten(1) / 255)
    assert output.dtype == torch.float32
    assert not output.requires_grad


def test_measures_labeled_samples_only() -> None:
    data = split(8, hidden=4)
    assert measure(lambda rows: answers(6, 8)[rows], data, TASK).metrics["accuracy"] == 0.5
    assert measure(lambda rows: answers(8, 8)[rows], data, TASK).metrics["accuracy"] == 1.0


def score(evaluation: Evaluation) -> tuple[float, ...]:
    return smooth(1, [evaluation.measurement], evaluation).score


def test_many_labels_rank_by_metric_then_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_module, "FEW_LABELS", 9)
    data, module = split(9), nn.Identity()
    outputs = (answers(6, 9), answers(3, 9), answers(6, 9) * 5)
    good, poor, overconfident = (
        judge(module, measure(given.__getitem__, data, TASK), TASK) for given in outputs
    )
    assert score(good) > score(poor)
    assert score(good) > score(overconfident)
    assert good.metrics["accuracy"] == overconfident.metrics["accuracy"] == pytest.approx(6 / 9)


def test_lower_is_better_ranks_smaller_score_higher() -> None:
    class Errors(Classification):
        primary = Metric("nll", higher_is_better=False)

    task = Errors(TaskData(("a", "b", "c"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
    data = split(9)
    better, worse = (
        judge(nn.Identity(), measure(answers(right, 9).__getitem__, data, task), task) for right in (9, 3)
    )
    assert score(better) > score(worse)


def test_few_labels_rank_by_loss() -> None:
    data, module = split(9), nn.Identity()
    lucky, calm = (
        judge(module, measure(given.__getitem__, data, TASK), TASK)
        for given in (answers(6, 9) * 9, answers(5, 9) * 0.5)
    )
    assert lucky.metrics["accuracy"] > calm.metrics["accuracy"]
    assert score(lucky) < score(calm)


@pytest.mark.parametrize("n", [40, BATCH + 1])
def test_validation_does_not_change_module(n: int) -> None:
    """Also with one sample more than a batch: BatchNorm rejects a batch of one."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    before = copy.deepcopy(module.state_dict())
    evaluation = validate(module, TASK, split(30), split(n), "cpu")
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert evaluation.module is not module
    mean = evaluation.module.get_buffer("2.running_mean")
    with torch.no_grad():
        seen = module[1](torch.from_numpy(split(n).samples.inputs).float().flatten(1) / 255)
    torch.testing.assert_close(mean, seen.mean(0), atol=1e-3, rtol=0)


def test_batchnorm_statistics_cover_data_sorted_by_class() -> None:
    """Class folders are sorted by class: statistics of the first rows, or of one class, would be far off."""
    shade = np.sort(np.random.default_rng(0).integers(0, 256, 3000)).astype(np.uint8)
    images = np.broadcast_to(shade[:, None, None, None], (3000, 1, 2, 2))
    train = Split("train", Samples(tuple(map(str, range(3000))), images, np.arange(3000) // 1000), "digest")
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3))
    norm = validate(module, TASK, split(30), train, "cpu").module.get_submodule("1")
    values = torch.from_numpy(shade) / 255
    assert isinstance(norm, nn.BatchNorm1d)
    torch.testing.assert_close(norm.running_mean, values.mean().expand(4), atol=0.01, rtol=0)
    torch.testing.assert_close(norm.running_var, values.var().expand(4), atol=0, rtol=0.05)
