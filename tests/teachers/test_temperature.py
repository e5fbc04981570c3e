"""Fitted temperatures match known optima and do not change predicted classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.interfaces import InputSpec, LossOptions, TaskData
from mtkd_cli.interfaces.label_space import UNKNOWN, restricted
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


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0, 8.0])
def test_undoes_factor_of_calibrated_binary_logits(factor: float) -> None:
    """Right three times of four at probability 3/4: temperature 1 is best, and times 3 it is 3."""
    logits = factor * torch.tensor([[math.log(3.0), 0.0]]).repeat(4, 1)
    found = fit_temperature(logits, torch.tensor([0, 0, 0, 1]), task(2))
    assert found.temperature == pytest.approx(factor, rel=1e-5)
    assert found.after == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4, rel=1e-5)
    assert (found.labels, found.kept) == (4, "")


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_undoes_factor_of_sampled_labels(factor: float) -> None:
    logits, target = drawn(40_000)
    assert fit_temperature(factor * logits, target, task(5)).temperature == pytest.approx(factor, rel=0.02)


def test_slope_is_zero_at_optimum() -> None:
    """In one over the temperature it is the expected logit less the label's."""
    logits, target = drawn()
    logits = 3 * logits + 0.5 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    found = fit_temperature(logits, target, task(5))
    inverse, exact = 1 / found.temperature, logits.double()
    expected = ((exact * inverse).softmax(1) * exact).sum(dim=1)
    assert (expected - exact.gather(1, target[:, None])[:, 0]).mean().item() == pytest.approx(0, abs=1e-5)
    least = likelihood(exact * inverse, target)
    assert found.after == pytest.approx(least, rel=1e-6)
    assert found.before == pytest.approx(likelihood(exact, target), rel=1e-6)
    assert least < min(likelihood(exact * inverse * change, target) for change in (0.9, 0.99, 1.01, 1.1))


def test_keeps_predicted_and_unknown_classes() -> None:
    logits, _ = drawn()
    logits = restricted(logits, torch.tensor([True, True, False, True, False]))
    for temperature in (1 / MAX_TEMPERATURE, 0.7, 3.0, MAX_TEMPERATURE):
        after = divide_by_temperature(logits, temperature)
        assert torch.equal(after.argmax(dim=1), logits.argmax(dim=1))
        assert torch.equal(after == UNKNOWN, logits == UNKNOWN)
    assert torch.equal(divide_by_temperature(logits, 1.0), logits)


@pytest.mark.parametrize(
    "target",
    [torch.tensor([0, 1, 0, 1]), torch.tensor([1, 0, 1, 0])],
    ids=["always right", "always wrong"],
)
def test_keeps_temperature_1_without_optimum(target: Tensor) -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]]).repeat(2, 1)
    found = fit_temperature(logits, target, task(2))
    assert found.temperature == 1
    assert found.before == found.after
    assert "temperature 1: no optimum between 0.05 and 20" in found.summary


def test_keeps_temperature_1_for_constant_outputs() -> None:
    assert fit_temperature(torch.ones(4, 3), torch.tensor([0, 1, 2, 0]), task(3)).temperature == 1


def test_keeps_temperature_1_without_labels() -> None:
    found = fit_temperature(torch.empty(0, 3), torch.empty(0, dtype=torch.int64), task(3))
    assert (found.temperature, found.labels) == (1, 0)
    assert "no usable validation labels" in found.summary


def test_multilabel_uses_each_class() -> None:
    labels = np.array([[1, 0], [1, np.nan], [1, 0], [0, 1]], dtype=np.float32)
    several = MultiLabel(TaskData(("a", "b"), labels, INPUT), LossOptions())
    logits = 3 * torch.tensor([[math.log(3.0), 0.0]]).repeat(4, 1)
    found = fit_temperature(logits, torch.tensor([[1.0, torch.nan]] * 3 + [[0.0, torch.nan]]), several)
    assert found.temperature == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_matches_bisection(factor: float) -> None:
    logits, target = drawn()
    logits = factor * logits + 0.5 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    exact, low, high = logits.double(), -math.log(MAX_TEMPERATURE), math.log(MAX_TEMPERATURE)
    for _ in range(40):
        middle = (low + high) / 2
        expected = ((exact / math.exp(middle)).softmax(1) * exact).sum(dim=1)
        rises = (exact.gather(1, target[:, None])[:, 0] - expected).mean() > 0
        low, high = (low, middle) if rises else (middle, high)
    assert fit_temperature(exact, target, task(5)).temperature == pytest.approx(math.exp(low), rel=1e-6)
