"""Ranking of teachers: ties on the primary metric are broken by the loss, not by the order in the recipe."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor

from mtkd_aggregators.best import Best
from mtkd_aggregators.progressive import Progressive
from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Metric, TaskData
from mtkd_cli.interfaces import strategy as interface
from mtkd_cli.interfaces.label_space import UNKNOWN
from mtkd_tasks.classification import Classification
from mtkd_tasks.regression import Regression

CLASSES = tuple("abcd")
LABELS = torch.arange(20) % 4
MARGINS = {"uncertain": 1.0, "certain": 4.0, "middling": 2.0}
"""Logit margins of three teachers with 20 of 20 labels right; a larger margin gives a lower loss."""


def batch(
    outputs: dict[str, Tensor], labels: Tensor = LABELS, known: Tensor | None = None
) -> AggregationBatch:
    return AggregationBatch(
        outputs=tuple(outputs.values()),
        teacher_names=tuple(outputs),
        sample_ids=tuple(map(str, range(len(labels)))),
        temperature=1.0,
        progress=1.0,
        task=Classification(TaskData(CLASSES, np.arange(4), InputSpec()), LossOptions()),
        target=labels,
        labeled=labels >= 0,
        known=known,
    )


def right(margin: float) -> Tensor:
    return margin * torch.nn.functional.one_hot(LABELS, 4).float()


@pytest.mark.parametrize("names", list(itertools.permutations(MARGINS)))
def test_breaks_ties_by_loss(names: tuple[str, ...]) -> None:
    given = batch({name: right(MARGINS[name]) for name in names})
    assert given.scores_alone == (1.0, 1.0, 1.0)
    shares = [torch.softmax(right(MARGINS[name]).double(), 1).numpy() for name in names]
    assert given.losses_alone == pytest.approx([log_loss(LABELS.numpy(), share) for share in shares])
    assert [names[k] for k in given.ranking] == ["certain", "middling", "uncertain"]
    for strategy in (Best(), Progressive()):
        strategy.fit(given)
        chosen = strategy.weights(given)[:, 0].argmax()
        assert names[chosen] == "certain"


@pytest.mark.parametrize(("few", "order"), [(500, ["sure", "lucky"]), (0, ["lucky", "sure"])])
def test_few_labels_rank_by_loss_and_many_by_score(
    few: int, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One teacher is right on all samples and hardly sure, the other is sure and wrong on one."""
    monkeypatch.setattr(interface, "FEW_LABELS", few)
    lucky, sure = right(0.1), right(8.0)
    sure[0] = -sure[0]
    given = batch({"sure": sure, "lucky": lucky})
    assert [given.teacher_names[k] for k in given.ranking] == order


@pytest.mark.parametrize("names", [("b", "a"), ("a", "b")])
def test_breaks_remaining_ties_by_name(names: tuple[str, str]) -> None:
    given = batch({name: right(2.0) for name in names})
    assert [names[k] for k in given.ranking] == ["a", "b"]


def test_unknown_classes_have_large_loss() -> None:
    partial = right(9.0)
    partial[:, 3] = UNKNOWN
    known = torch.tensor([[True, True, True, False], [True] * 4])
    given = batch({"partial": partial, "whole": right(1.0)}, known=known)
    assert given.losses_alone[0] > 1e6 > given.losses_alone[1]


def test_ranks_lower_errors_first() -> None:
    targets = torch.tensor([[0.0], [1.0], [2.0]])
    task = Regression(TaskData(("y",), targets.numpy(), InputSpec()), LossOptions())
    given = AggregationBatch(
        outputs=(targets + 0.5, targets + 0.1),
        teacher_names=("far", "near"),
        sample_ids=("1", "2", "3"),
        temperature=1.0,
        progress=1.0,
        task=task,
        target=targets,
        labeled=task.labeled(targets),
    )
    assert given.ranking == (1, 0)


def test_nan_ranks_last() -> None:
    for metric in (Metric("accuracy"), Metric("rmse", higher_is_better=False)):
        assert metric.rank(math.nan, 0.0) < metric.rank(0.5, 9.0)
        assert metric.rank(0.5, math.nan) < metric.rank(0.5, 9.0)
