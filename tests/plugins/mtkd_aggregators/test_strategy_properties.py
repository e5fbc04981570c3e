"""Properties of every strategy and distillation loss, for random teachers."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.testing.batches import NAMES, batch_for
from mtkd_tasks.classification import Classification
from tests.fixtures.strategies import SPECS, create

TASK = Classification(TaskData(tuple("abcde"), np.arange(5), InputSpec(4)), LossOptions())
TEACHERS = st.integers(1, len(NAMES))
SEEDS = st.integers(0, 10_000)
SIZES = st.sampled_from([0.0, 0.1, 1.0, 8.0, 95.0, 1e4])


def numbers(seed: int, *shape: int, size: float = 1.0) -> Tensor:
    drawn = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return drawn.clamp(-3, 3) * size


def merge(name: str, batch: AggregationBatch) -> Merged:
    strategy = create(name)
    if hasattr(strategy, "fit"):
        strategy.fit(batch)
    if hasattr(strategy, "combine"):
        return Merged(batch.outputs, combined=strategy.combine(batch))
    return Merged(batch.outputs, weights=strategy.weights(batch))


def batch_of(teachers: int, seed: int, size: float, progress: float = 0.5) -> AggregationBatch:
    outputs = tuple(numbers(seed + k, 8, 5, size=size) for k in range(teachers))
    return batch_for(TASK, teachers, outputs=outputs, progress=progress)


@pytest.mark.parametrize("name", SPECS)
def test_returns_valid_weights_or_distribution(name: str) -> None:
    @settings(max_examples=12 if name in ("agreement", "stacking") else 40)
    @given(TEACHERS, SEEDS, SIZES, st.floats(0, 1))
    def holds(teachers: int, seed: int, size: float, progress: float) -> None:
        batch = batch_of(teachers, seed, size, progress)
        merged = merge(name, batch)
        if merged.weights is not None:
            assert merged.weights.shape == (teachers, 8)
            assert (merged.weights >= 0).all()
            torch.testing.assert_close(merged.weights.sum(0), torch.ones(8), atol=1e-5, rtol=0)
            probabilities = TASK.mix(merged).exp()
        else:
            assert merged.combined is not None
            probabilities = merged.combined.softmax(1)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(8), atol=1e-4, rtol=0)
        student = batch.student_output.clone().requires_grad_()  # type: ignore[union-attr]
        TASK.kd_loss(student, merged, 2.0).sum().backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(student.grad).all()  # type: ignore[arg-type]

    holds()


@pytest.mark.parametrize("name", sorted(set(SPECS) - {"drop", "random", "route"}))
def test_identical_teachers_give_their_own_output(name: str) -> None:
    @settings(max_examples=10)
    @given(TEACHERS, SEEDS)
    def holds(teachers: int, seed: int) -> None:
        same = numbers(seed, 8, 5, size=3.0)
        merged = merge(name, batch_for(TASK, teachers, outputs=(same,) * teachers))
        mixture = TASK.mix(merged) if merged.combined is None else merged.combined
        torch.testing.assert_close(mixture.softmax(1), same.softmax(1), atol=1e-5, rtol=0)

    holds()


LOSSES = [(kd, standardize) for kd in ("kl", "mse", "dkd", "dist") for standardize in (False, True)]


@pytest.mark.parametrize(("kd", "standardize"), LOSSES)
def test_loss_is_minimal_for_teacher_output(kd: str, standardize: bool) -> None:
    data = TaskData(tuple("abcde"), np.arange(5), InputSpec(4))
    loss_of = functools.partial(Classification(data, LossOptions(), kd=kd, standardize=standardize).kd_loss)

    @settings(max_examples=30)
    @given(SEEDS, SIZES, SIZES, st.sampled_from([1.0, 2.0, 8.0]))
    def holds(seed: int, size: float, other: float, temperature: float) -> None:
        teacher, student = numbers(seed, 6, 5, size=size), numbers(seed + 1, 6, 5, size=other)
        merged = Merged((teacher,), weights=torch.ones(1, 6))
        scale = temperature**2 * max(1.0, size, other) ** (2 if kd == "mse" else 1)
        loss, own = loss_of(student, merged, temperature), loss_of(teacher, merged, temperature)
        assert torch.isfinite(loss).all()
        assert (loss >= -1e-5 * scale).all()
        assert loss.sum() >= own.sum() - 1e-4 * scale
        if kd != "dist" or 0 < size <= 1:  # DIST uses correlations, which constants lack
            assert (own.abs() <= 1e-3 * scale).all()
        student.requires_grad_()
        loss_of(student, merged, temperature).sum().backward()
        assert torch.isfinite(student.grad).all()  # type: ignore[arg-type]

    holds()


@given(SEEDS, st.floats(0.1, 50), st.floats(-20, 20))
def test_standardized_loss_ignores_scale_and_shift(seed: int, scale: float, shift: float) -> None:
    data = TaskData(tuple("abcde"), np.arange(5), InputSpec(4))
    task = Classification(data, LossOptions(), standardize=True)
    teacher, student = numbers(seed, 6, 5), numbers(seed + 1, 6, 5)
    weights = torch.ones(1, 6)
    plain = task.kd_loss(student, Merged((teacher,), weights=weights), 2.0)
    rescaled = task.kd_loss(student, Merged((teacher * scale + shift,), weights=weights), 2.0)
    torch.testing.assert_close(plain, rescaled, atol=2e-3, rtol=2e-3)
