"""Task `multilabel`, against closed forms and scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score
from torch import Tensor

from mtkd_cli.errors import DataError, UsageError
from mtkd_cli.interfaces import Alignment, InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.plugin.registry import Registry
from mtkd_cli.testing.task import check_task
from mtkd_data.digit_scenes import DigitScenes
from mtkd_tasks.multilabel import MultiLabel

NAN = math.nan
LABELS = [[1.0, 0.0], [0.0, 0.0], [0.0, NAN], [0.0, 1.0]]


def task(**loss: Any) -> MultiLabel:
    return MultiLabel(
        TaskData(("a", "b"), np.array(LABELS, dtype=np.float32), InputSpec()), LossOptions(**loss)
    )


def logits(*shares: list[float]) -> Tensor:
    return torch.tensor(shares).logit()


def test_satisfies_task_contract(registry: Registry) -> None:
    check_task(registry.find("tasks", "multilabel").spec)


def test_losses_skip_unlabeled_classes() -> None:
    output, target = logits([0.8, 0.4], [0.5, 0.9]), torch.tensor([[1.0, NAN], [NAN, NAN]])
    torch.testing.assert_close(task().task_loss(output, target), torch.tensor([-math.log(0.8), 0.0]))
    torch.testing.assert_close(task().error([output], target), torch.tensor([[-math.log(0.8), 0.0]]))
    assert task().labeled(target).tolist() == [True, False]


def test_class_weights() -> None:
    output, target = logits([0.8, 0.4]), torch.tensor([[1.0, 1.0]])
    a, b = -math.log(0.8), -math.log(0.4)
    torch.testing.assert_close(
        task(class_weights="balanced").task_loss(output, target), torch.tensor([(3 * a + 2 * b) / 2])
    )
    torch.testing.assert_close(
        task(class_weights=(4.0, 1.0)).task_loss(output, target), torch.tensor([(4 * a + b) / 2])
    )
    with pytest.raises(UsageError, match="3 weights for 2 classes"):
        task(class_weights=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_kd_is_divergence_to_mixture(
    temperature: float,
) -> None:
    teachers = (logits([0.9, 0.2]), logits([0.3, 0.6]))
    student = logits([0.5, 0.7])
    found = task().kd_loss(student, Merged(teachers, torch.tensor([[0.25], [0.75]])), temperature)
    expected = 0.0
    for place in range(2):
        shares = [(teacher[0, place] / temperature).sigmoid().item() for teacher in teachers]
        p = 0.25 * shares[0] + 0.75 * shares[1]
        q = (student[0, place] / temperature).sigmoid().item()
        expected += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert found.item() == pytest.approx(temperature**2 * expected / 2, rel=1e-4)


def test_aligns_several_outputs_to_one_class() -> None:
    aligned = task().align(torch.tensor([[1.0, -2.0, 3.0]]), Alignment(((1, 2), (0,))))
    assert aligned.tolist() == [[3.0, 1.0]]


def test_metrics_match_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    scores, labels = draws.random((40, 3)), (draws.random((40, 3)) < 0.3).astype(np.float32)
    made = MultiLabel(TaskData(("a", "b", "c"), labels, InputSpec()), LossOptions())
    output = torch.from_numpy(scores).float().logit()
    found = made.metrics(made.statistics(output, torch.from_numpy(labels)))
    assert found["map"] == pytest.approx(average_precision_score(labels, scores, average="macro"))
    assert found["f1"] == pytest.approx(f1_score(labels, scores >= 0.5, average="macro"))
    hidden = np.where(np.arange(40)[:, None] % 2, labels, np.nan).astype(np.float32)
    half = made.metrics(made.statistics(output, torch.from_numpy(hidden)))
    assert half["map"] == pytest.approx(average_precision_score(labels[1::2], scores[1::2], average="macro"))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), samples=st.integers(1, 40), levels=st.integers(1, 6))
def test_average_precision_with_ties_matches_scikit_learn(seed: int, samples: int, levels: int) -> None:
    draws = np.random.default_rng(seed)
    labels = (draws.random((samples, 2)) < 0.4).astype(np.float32)
    labels[0] = 1  # undefined in scikit-learn without positives
    scores = draws.integers(0, levels, (samples, 2)) / levels
    hidden = draws.random((samples, 2)) < 0.2
    hidden[0] = False
    expected = np.mean(
        [average_precision_score(labels[~hidden[:, c], c], scores[~hidden[:, c], c]) for c in range(2)]
    )
    order = draws.permutation(samples)
    known = np.where(hidden, np.nan, labels).astype(np.float32)
    for rows in (np.arange(samples), order):
        output, target = torch.from_numpy(scores[rows] * 8 - 4), torch.from_numpy(known[rows])
        assert task().metrics(task().statistics(output, target))["map"] == pytest.approx(expected)


def test_constant_output_has_chance_average_precision() -> None:
    target = torch.zeros(20, 2)
    for rows in ([0, 1, 2, 3], [16, 17, 18, 19]):
        labels = target.clone()
        labels[rows] = 1
        statistics = task().statistics(torch.zeros(20, 2), labels)
        assert task().metrics(statistics)["map"] == pytest.approx(4 / 20)


def test_ranks_logits_that_float32_probabilities_would_tie() -> None:
    output = torch.tensor([[18.0, 20.0], [20.0, 18.0]])
    assert task().metrics(task().statistics(output, torch.tensor([[0.0, 1.0], [1.0, 0.0]])))["map"] == 1.0


def test_rejects_class_numbers() -> None:
    with pytest.raises(DataError, match="0 or 1 for each class"):
        MultiLabel(TaskData(("a", "b"), np.array([0, 1]), InputSpec()), LossOptions())


def test_digit_scenes_labels() -> None:
    found = DigitScenes("multilabel", scenes=20, test_scenes=10, size=32, scene_seed=0).load(None)  # type: ignore[arg-type]
    assert found.classes == tuple("0123456789")
    assert found.train.targets.shape == (20, 10)
    masks = DigitScenes("segmentation", scenes=20, test_scenes=10, size=32, scene_seed=0).load(None)  # type: ignore[arg-type]
    for present, mask in zip(found.train.targets, masks.train.targets, strict=True):
        assert {int(d) for d in np.unique(mask) - 1 if d >= 0} == set(np.flatnonzero(present))
