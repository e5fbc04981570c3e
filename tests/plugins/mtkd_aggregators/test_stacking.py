"""Stacked weights against scipy, with few labels and with many."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Task, TaskData
from mtkd_tasks.classification import Classification
from mtkd_tasks.regression import Regression
from tests.fixtures.strategies import create

CLASSES, TEACHERS, STRENGTH = 5, 4, 1.8
CLASSIFICATION = Classification(TaskData(tuple("abcde"), np.arange(5), InputSpec()), LossOptions())
REGRESSION = Regression(TaskData(("y",), np.array([[-1.0], [1.0]]), InputSpec()), LossOptions())


def fitted(task: Task, outputs: list[Tensor], target: Tensor) -> NDArray[np.float64]:
    """Return the weights of stacking, ``[K]``."""
    batch = AggregationBatch(
        outputs=tuple(outputs),
        teacher_names=tuple("abcdefgh"[: len(outputs)]),
        sample_ids=tuple(map(str, range(len(target)))),
        temperature=1.0,
        progress=1.0,
        task=task,
        target=target,
        labeled=task.labeled(target),
    )
    stacking = create("stacking")
    stacking.fit(batch)
    found: NDArray[np.float64] = stacking.weights(batch)[:, 0].double().numpy()
    return found


def exchangeable(samples: int, seed: int, weak: int = 0) -> tuple[list[Tensor], Tensor]:
    """Return logits of calibrated teachers with independent evidence, the last ones weaker, and labels."""
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(CLASSES, (samples,), generator=generator)
    truth = torch.nn.functional.one_hot(target, CLASSES)
    outputs = []
    for k in range(TEACHERS):
        strength = STRENGTH / 4 if k >= TEACHERS - weak else STRENGTH
        outputs.append(strength * (strength * truth + torch.randn(samples, CLASSES, generator=generator)))
    return outputs, target


def by_scipy(outputs: list[Tensor], target: Tensor, prior: float) -> NDArray[np.float64]:
    """Return the weights that minimize ``n L(w) - prior sum_k log w_k``, by SLSQP on the simplex."""
    rows = torch.arange(len(target))
    # [K, N]: each teacher's probability of the label
    right = torch.stack([output.double().softmax(dim=1)[rows, target] for output in outputs]).numpy()

    def objective(w: NDArray[np.float64]) -> float:
        return float(-np.log(w @ right).sum() - prior * np.log(w).sum()) / len(target)

    count = len(outputs)
    found = minimize(
        objective,
        np.full(count, 1 / count),
        bounds=[(1e-9, 1)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    weights: NDArray[np.float64] = found.x
    return weights


@pytest.mark.parametrize("samples", [5, 20, 100])
def test_weights_have_the_largest_posterior(samples: int) -> None:
    outputs, target = exchangeable(samples, samples)
    expected = by_scipy(outputs, target, prior=1.0)
    np.testing.assert_allclose(fitted(CLASSIFICATION, outputs, target), expected, atol=3e-3)


@pytest.mark.parametrize("samples", [20, 50, 100])
def test_few_labels_keep_equally_good_teachers_together(samples: int) -> None:
    """Without the prior some weights are 0, and the others are further from 1/4."""
    draws = [exchangeable(samples, 100 * samples + seed) for seed in range(8)]
    weights = np.array([fitted(CLASSIFICATION, *draw) for draw in draws])
    plain = np.array([by_scipy(*draw, prior=0.0) for draw in draws])
    assert weights.min() > 0.05
    assert plain.min() < 0.02
    assert abs(weights - 0.25).mean() < 0.8 * abs(plain - 0.25).mean()


def test_many_labels_outweigh_the_prior() -> None:
    outputs, target = exchangeable(4000, 0, weak=1)
    weights = fitted(CLASSIFICATION, outputs, target)
    np.testing.assert_allclose(weights, by_scipy(outputs, target, prior=0.0), atol=0.01)
    assert weights[-1] < 0.01


def test_values_are_weighed_alike_in_every_unit() -> None:
    """``n MSE(w) / (2 MSE(1 / K)) - sum_k log w_k``: a factor of the values cancels."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(30, 1, generator=generator)
    outputs = [target + size * torch.randn(30, 1, generator=generator) for size in (0.5, 0.5, 2.0)]
    weights = fitted(REGRESSION, outputs, target)
    errors = torch.stack([output - target for output in outputs]).squeeze(2).double().numpy()

    def objective(w: NDArray[np.float64]) -> float:
        return float(15 * np.mean((w @ errors) ** 2) / np.mean(errors.mean(axis=0) ** 2) - np.log(w).sum())

    expected = minimize(
        objective,
        np.full(3, 1 / 3),
        bounds=[(1e-9, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    ).x
    np.testing.assert_allclose(weights, expected, atol=3e-3)
    scaled = fitted(REGRESSION, [100 * output for output in outputs], 100 * target)
    np.testing.assert_allclose(scaled, weights, atol=3e-3)
