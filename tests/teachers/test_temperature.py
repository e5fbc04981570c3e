"""One temperature makes a teacher as confident as it is accurate, and changes no prediction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN, restrict_logits
from mtkd_cli.teachers.temperature import MAX_TEMPERATURE, divide_by_temperature, fit_temperature
from mtkd_tasks.classification import Classification
from mtkd_tasks.multilabel import MultiLabel

INPUT = InputSpec(size=1, channels=1)


def task(classes: int) -> Classification:
    names = tuple(str(number) for number in range(classes))
    return Classification(TaskData(names, np.zeros(2, dtype=np.int64), INPUT), LossOptions())


def drawn(samples: int = 4000, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Return logits, and labels drawn from their distributions."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(samples, classes, generator=generator)
    return logits, logits.softmax(1).multinomial(1, generator=generator)[:, 0]


def likelihood(logits: Tensor, target: Tensor) -> float:
    return -logits.double().log_softmax(1).gather(1, target[:, None]).mean().item()


def most_probable(logits: Tensor, target: Tensor) -> float:
    """Return the temperature with the lowest ``n NLL(T) + (log T)^2 / 2``, by scipy."""

    def objective(u: float) -> float:
        return len(target) * likelihood(logits.double() / math.exp(u), target) + u**2 / 2

    found = minimize_scalar(objective, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    return math.exp(found.x)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 8.0])
def test_many_labels_give_back_a_factor(factor: float) -> None:
    """Right three times of four at probability 3/4: temperature 1 is best, and times 3 it is 3."""
    logits = factor * torch.tensor([[math.log(3.0), 0.0]]).repeat(40_000, 1)
    found = fit_temperature(logits, torch.tensor([0, 0, 0, 1]).repeat(10_000), task(2))
    assert found.temperature == pytest.approx(factor, rel=1e-3)
    assert found.after == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4, rel=1e-5)
    assert (found.labels, found.kept) == (40_000, "")


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 8.0])
@pytest.mark.parametrize("samples", [4, 20, 100])
def test_temperature_is_the_most_probable_one(factor: float, samples: int) -> None:
    logits, target = (part[:samples] for part in drawn())
    found = fit_temperature(factor * logits, target, task(5)).temperature
    assert found == pytest.approx(most_probable(factor * logits, target), rel=1e-4)
    assert min(1, 0.5 * factor) <= found <= max(1, 2 * factor)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_labels_drawn_from_the_models_own_distribution_give_back_the_factor(factor: float) -> None:
    logits, target = drawn(40_000)
    assert fit_temperature(factor * logits, target, task(5)).temperature == pytest.approx(factor, rel=0.02)


def test_derivative_of_the_posterior_is_zero() -> None:
    """In b = 1 / T the derivative of n NLL is the sum of the expected logit minus the label's logit."""
    logits, target = drawn()
    logits = 3 * logits + 0.5 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    found = fit_temperature(logits, target, task(5))
    inverse, exact = 1 / found.temperature, logits.double()
    expected = ((exact * inverse).softmax(1) * exact).sum(dim=1)
    of_labels = (expected - exact.gather(1, target[:, None])[:, 0]).mean().item()
    of_prior = math.log(inverse) / inverse / len(target)  # of (log b)^2 / 2n
    assert of_labels + of_prior == pytest.approx(0, abs=1e-5)
    assert found.after == pytest.approx(likelihood(exact * inverse, target), rel=1e-6)
    assert found.before == pytest.approx(likelihood(exact, target), rel=1e-6)


def test_predictions_and_unknown_classes_stay() -> None:
    logits, _ = drawn()
    logits = restrict_logits(logits, torch.tensor([True, True, False, True, False]))
    for temperature in (1 / MAX_TEMPERATURE, 0.7, 3.0, MAX_TEMPERATURE):
        after = divide_by_temperature(logits, temperature)
        assert torch.equal(after.argmax(dim=1), logits.argmax(dim=1))
        assert torch.equal(after == UNKNOWN, logits == UNKNOWN)
    assert torch.equal(divide_by_temperature(logits, 1.0), logits)


@pytest.mark.parametrize(
    ("target", "low", "high"),
    [([0, 1, 0, 1], 0.5, 1.0), ([1, 0, 1, 0], 1.0, 4.0)],
    ids=["always right", "always wrong"],
)
def test_few_labels_give_no_extreme_temperature(target: list[int], low: float, high: float) -> None:
    """The likelihood alone is best at temperature 0, or infinity."""
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).repeat(2, 1)
    found = fit_temperature(logits, torch.tensor(target), task(2))
    assert low < found.temperature < high
    assert found.temperature == pytest.approx(most_probable(logits, torch.tensor(target)), rel=1e-4)


def test_temperature_is_bounded() -> None:
    """A teacher that is wrong on all of many samples."""
    found = fit_temperature(torch.tensor([[4.0, 0.0]]).repeat(10_000, 1), torch.ones(10_000).long(), task(2))
    assert found.temperature == pytest.approx(MAX_TEMPERATURE)


def test_equal_logits_keep_temperature_one() -> None:
    found = fit_temperature(torch.ones(4, 3), torch.tensor([0, 1, 2, 0]), task(3))
    assert found.temperature == pytest.approx(1, abs=1e-6)


def test_no_labels_keep_temperature_one() -> None:
    found = fit_temperature(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), task(3))
    assert (found.temperature, found.labels) == (1, 0)
    assert "no usable validation labels" in found.summary


def test_several_labels_per_sample_are_calibrated_class_by_class() -> None:
    labels = np.array([[1, 0], [1, np.nan], [1, 0], [0, 1]], dtype=np.float32)
    several = MultiLabel(TaskData(("a", "b"), labels, INPUT), LossOptions())
    logits = 3 * torch.tensor([[math.log(3.0), 0.0]]).repeat(4000, 1)
    target = torch.tensor([[1.0, torch.nan]] * 3 + [[0.0, torch.nan]]).repeat(1000, 1)
    assert fit_temperature(logits, target, several).temperature == pytest.approx(3, rel=3e-3)
