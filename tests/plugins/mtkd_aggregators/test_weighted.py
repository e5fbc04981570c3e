"""Strategy `weighted` with ``by: class``: pixel weights from scores of the predicted classes."""

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


def confident(*answers: list[int]) -> Tensor:
    """Return confident logits ``[B, 3, 2, 2]``; each list is one image of 2 x 2 pixels."""
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
        labeled=target >= 0,
    )


TARGET = torch.tensor([[[0, 0], [1, 2]]])
LABELS, WITHOUT_B = confident([0, 0, 1, 2]), confident([0, 0, 0, 2])


def test_weights_are_softmax_of_predicted_class_iou() -> None:
    strategy = Weighted("class", 0.5)
    strategy.fit(batch(TARGET, LABELS, WITHOUT_B))  # IoU 1 1 1, and 2/3 0 1
    weights = strategy.weights(
        batch(torch.full((1, 2, 2), -1), confident([0, 2, 1, 1]), confident([0, 2, 0, 1]))
    )
    scores = torch.tensor([[1, 1, 1, 1], [2 / 3, 1, 2 / 3, 0]]) / 0.5
    torch.testing.assert_close(weights.view(2, 4), scores.softmax(0))
    torch.testing.assert_close(weights.sum(0), torch.ones(1, 2, 2))


def test_uses_expected_score_of_uncertain_output() -> None:
    strategy = Weighted("class", 1.0)
    strategy.fit(batch(TARGET, LABELS, WITHOUT_B))
    half = torch.tensor([0.5, 0.5, 0.0]).log().view(1, 3, 1, 1).expand(1, 3, 2, 2)
    weights = strategy.weights(batch(TARGET, half, half))
    torch.testing.assert_close(weights[:, 0, 0, 0], torch.tensor([1.0, 1 / 3]).softmax(0))


def test_missing_class_gets_mean_score() -> None:
    strategy, target = Weighted("class", 1.0), torch.tensor([[[0, 0], [1, -1]]])
    strategy.fit(batch(target, confident([0, 0, 1, 1]), confident([0, 1, 1, 1])))  # IoU 1 1, and 1/2 1/2
    weights = strategy.weights(batch(target, confident([2, 2, 2, 2]), confident([2, 2, 2, 2])))
    torch.testing.assert_close(weights[:, 0, 0, 0], torch.tensor([1.0, 0.5]).softmax(0))


def test_classification_uses_precision() -> None:
    task = Classification(TaskData(("a", "b"), np.zeros(1, dtype=np.int64), InputSpec()), LossOptions())
    strategy, target = Weighted("class", 1.0), torch.tensor([0, 0, 1, 1])
    right, always_b = (F.one_hot(torch.tensor(n), 2) * 1e4 for n in ([0, 0, 1, 1], [1, 1, 1, 1]))
    strategy.fit(batch(target, right, always_b, task=task))
    weights = strategy.weights(batch(target, right, always_b, task=task))
    torch.testing.assert_close(weights[:, 3], torch.tensor([1.0, 0.5]).softmax(0))


def test_rejects_task_without_class_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segmentation, "class_score", "")
    with pytest.raises(UsageError, match="no scores per class"):
        Weighted("class", 1.0).fit(batch(TARGET, LABELS))
