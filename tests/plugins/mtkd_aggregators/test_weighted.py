"""A teacher counts, pixel by pixel, as much as it was right on validation about what it says."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtkd_aggregators.weighted import Weighted
from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Task, TaskData
from mtkd_tasks.classification import Classification
from mtkd_tasks.segmentation import Segmentation

TASK = Segmentation(TaskData(("a", "b", "c"), np.zeros((1, 2, 2)), InputSpec(size=2)), LossOptions())


def certain(*answers: list[int]) -> Tensor:
    """One image a list, 2 x 2 pixels."""
    return F.one_hot(torch.tensor(answers).view(-1, 2, 2), 3).movedim(-1, 1) * 1e4


def batch(target: Tensor, *outputs: Tensor, task: Task = TASK) -> AggregationBatch:
    return AggregationBatch(
        outputs=tuple(output.float() for output in outputs),
        teacher_names=tuple("xyz"[: len(outputs)]),
        sample_ids=tuple(map(str, range(len(target)))),
        temperature=1.0,
        progress=0.0,
        task=task,
        target=target,
        labelled=target >= 0,
    )


TARGET = torch.tensor([[[0, 0], [1, 2]]])
LABELS, NO_BS = certain([0, 0, 1, 2]), certain([0, 0, 0, 2])


def test_weights_are_the_softmax_of_the_iou_of_what_each_teacher_says() -> None:
    strategy = Weighted("class", 0.5)
    strategy.fit(batch(TARGET, LABELS, NO_BS))  # IoU 1 1 1, and 2/3 0 1
    weights = strategy.weights(batch(torch.full((1, 2, 2), -1), certain([0, 2, 1, 1]), certain([0, 2, 0, 1])))
    scores = torch.tensor([[1, 1, 1, 1], [2 / 3, 1, 2 / 3, 0]]) / 0.5
    torch.testing.assert_close(weights.view(2, 4), scores.softmax(0))
    torch.testing.assert_close(weights.sum(0), torch.ones(1, 2, 2))


def test_an_unsure_teacher_has_the_mean_score_of_what_it_may_mean() -> None:
    strategy = Weighted("class", 1.0)
    strategy.fit(batch(TARGET, LABELS, NO_BS))
    half = torch.tensor([0.5, 0.5, 0.0]).log().view(1, 3, 1, 1).expand(1, 3, 2, 2)
    weights = strategy.weights(batch(TARGET, half, half))
    torch.testing.assert_close(weights[:, 0, 0, 0], torch.tensor([1.0, 1 / 3]).softmax(0))


def test_of_a_class_that_validation_lacks_a_teacher_has_its_mean_score() -> None:
    strategy, target = Weighted("class", 1.0), torch.tensor([[[0, 0], [1, -1]]])
    strategy.fit(batch(target, certain([0, 0, 1, 1]), certain([0, 1, 1, 1])))  # IoU 1 1, and 1/2 1/2
    weights = strategy.weights(batch(target, certain([2, 2, 2, 2]), certain([2, 2, 2, 2])))
    torch.testing.assert_close(weights[:, 0, 0, 0], torch.tensor([1.0, 0.5]).softmax(0))


def test_samples_are_weighed_by_precision() -> None:
    task = Classification(TaskData(("a", "b"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
    strategy, target = Weighted("class", 1.0), torch.tensor([0, 0, 1, 1])
    right, always_b = (F.one_hot(torch.tensor(n), 2) * 1e4 for n in ([0, 0, 1, 1], [1, 1, 1, 1]))
    strategy.fit(batch(target, right, always_b, task=task))
    weights = strategy.weights(batch(target, right, always_b, task=task))
    torch.testing.assert_close(weights[:, 3], torch.tensor([1.0, 0.5]).softmax(0))


def test_a_task_without_classes_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segmentation, "class_score", "")
    with pytest.raises(UsageError, match="no score for each class"):
        Weighted("class", 1.0).fit(batch(TARGET, LABELS))
