"""Teachers that tie on the primary metric are ordered by their loss, never by the recipe's order."""

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
SURENESS = {"vague": 1.0, "surest": 4.0, "middling": 2.0}
"""Three teachers that are right on all of 20 labels; the larger the margin, the lower the loss."""


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
        labelled=labels >= 0,
        known=known,
    )


def right(margin: float) -> Tensor:
    return margin * torch.nn.functional.one_hot(LABELS, 4).float()


@pytest.mark.parametrize("names", list(itertools.permutations(SURENESS)))
def test_of_equal_scores_the_lowest_loss_wins_in_any_order_of_the_recipe(names: tuple[str, ...]) -> None:
    given = batch({name: right(SURENESS[name]) for name in names})
    assert given.scores_alone == (1.0, 1.0, 1.0)
    shares = [torch.softmax(right(SURENESS[name]).double(), 1).numpy() for name in names]
    assert given.losses_alone == pytest.approx([log_loss(LABELS.numpy(), share) for share in shares])
    assert [names[k] for k in given.ranking] == ["surest", "middling", "vague"]
    for strategy in (Best(), Progressive()):
        strategy.fit(given)
        chosen = strategy.weights(given)[:, 0].argmax()
        assert names[chosen] == "surest"


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
def test_teachers_that_are_equal_in_all_are_ordered_by_name(names: tuple[str, str]) -> None:
    given = batch({name: right(2.0) for name in names})
    assert [names[k] for k in given.ranking] == ["a", "b"]


def test_a_teacher_that_knows_few_classes_has_a_large_loss_on_the_others() -> None:
    partial = right(9.0)
    partial[:, 3] = UNKNOWN
    known = torch.tensor([[True, True, True, False], [True] * 4])
    given = batch({"partial": partial, "whole": right(1.0)}, known=known)
    assert given.losses_alone[0] > 1e6 > given.losses_alone[1]


def test_errors_are_ranked_the_smaller_the_better() -> None:
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
        labelled=task.labelled(targets),
    )
    assert given.ranking == (1, 0)


def test_what_is_not_a_number_ranks_last() -> None:
    for metric in (Metric("accuracy"), Metric("rmse", higher_is_better=False)):
        assert metric.rank(math.nan, 0.0) < metric.rank(0.5, 9.0)
        assert metric.rank(0.5, math.nan) < metric.rank(0.5, 9.0)
