"""Losses against their closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mtkd_cli.losses import cross_entropy, kl_divergence, mean_over

quick = settings(deadline=None, max_examples=40)
TEMPERATURES = [1.0, 2.0, 4.0, 8.0]


def numbers(seed: int, *shape: int, size: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * size


def gradient(student: Tensor, target: Tensor, temperature: float) -> Tensor:
    student = student.clone().requires_grad_()
    (found,) = torch.autograd.grad(kl_divergence(student, target, temperature).sum(), student)
    return found


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_is_temperature_times_the_difference_of_the_softened_answers(temperature: float) -> None:
    student, teacher = numbers(0, 6, 5, size=3), numbers(1, 6, 5, size=3)
    q, p = torch.softmax(student / temperature, 1), torch.softmax(teacher / temperature, 1)
    torch.testing.assert_close(gradient(student, p, temperature), temperature * (q - p))


def test_the_gradient_keeps_its_size_whatever_the_temperature() -> None:
    """Without the factor of temperature squared, it would fall by 64 from T = 1 to T = 8."""
    student, teacher = numbers(0, 64, 10), numbers(1, 64, 10)
    sizes = [gradient(student, torch.softmax(teacher / t, 1), t).norm().item() for t in TEMPERATURES]
    assert max(sizes) / min(sizes) < 2
    limit = ((student - student.mean(1, True)) - (teacher - teacher.mean(1, True))) / 10
    assert sizes[-1] == pytest.approx(limit.norm().item(), rel=0.1)


def test_the_divergence_of_two_classes() -> None:
    target = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    student = torch.tensor([[0.0, 0.0]], dtype=torch.float64)
    expected = 4 * (0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5))
    assert kl_divergence(student, target, 2.0).item() == pytest.approx(expected)


@quick
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.5, 10), size=st.floats(0, 20))
def test_the_divergence_is_never_negative_and_zero_for_equals(
    seed: int, temperature: float, size: float
) -> None:
    student, teacher = numbers(seed, 4, 6, size=size), numbers(seed + 1, 4, 6, size=size)
    assert (kl_divergence(student, torch.softmax(teacher / temperature, 1), temperature) > -1e-9).all()
    same = kl_divergence(student, torch.softmax(student / temperature, 1), temperature)
    torch.testing.assert_close(same, torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)


def test_a_target_with_zero_probabilities_is_the_cross_entropy() -> None:
    student = numbers(0, 3, 4)
    target = torch.eye(4, dtype=torch.float64)[:3]
    expected = -9 * torch.log_softmax(student / 3, 1).diagonal()
    torch.testing.assert_close(kl_divergence(student, target, 3.0), expected)
    assert torch.isfinite(gradient(student, target, 3.0)).all()


def test_an_extreme_student_gives_no_nan() -> None:
    student = torch.tensor([[1e4, -1e4, 0.0]])
    for target in (torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])):
        assert torch.isfinite(kl_divergence(student, target, 1.0)).all()
        assert torch.isfinite(gradient(student, target, 1.0)).all()


@quick
@given(
    seed=st.integers(0, 10_000),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.01),
    temperature=st.sampled_from(TEMPERATURES),
)
def test_the_mixtures_gradient_is_the_weighted_sum_of_the_teachers(
    seed: int, shares: list[float], temperature: float
) -> None:
    weights = [share / sum(shares) for share in shares]
    student = numbers(seed, 4, 5)
    targets = [torch.softmax(numbers(seed + k, 4, 5, size=3) / temperature, 1) for k in (1, 2, 3)]
    mixture = sum((w * p for w, p in zip(weights, targets, strict=True)), torch.zeros(()))
    expected = sum(
        (w * gradient(student, p, temperature) for w, p in zip(weights, targets, strict=True)),
        torch.zeros(()),
    )
    torch.testing.assert_close(gradient(student, mixture, temperature), expected)


def test_the_cross_entropy_is_minus_the_labels_log_probability() -> None:
    student = torch.log(torch.tensor([[0.2, 0.8], [0.5, 0.5]]))
    loss = cross_entropy(student, torch.tensor([0, 1]))
    torch.testing.assert_close(loss, torch.tensor([-math.log(0.2), -math.log(0.5)]))


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    student = torch.log(torch.tensor([[0.2, 0.8]]))
    expected = -(0.95 * math.log(0.2) + 0.05 * math.log(0.8))
    assert cross_entropy(student, torch.tensor([0]), label_smoothing=0.1).item() == pytest.approx(expected)


def test_class_weights_multiply_the_loss_of_their_class() -> None:
    student = torch.zeros(2, 2)
    loss = cross_entropy(student, torch.tensor([0, 1]), torch.tensor([3.0, 0.5]))
    torch.testing.assert_close(loss, math.log(2) * torch.tensor([3.0, 0.5]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_sample_without_a_label_has_no_loss_and_no_gradient(smoothing: float) -> None:
    student = torch.randn(3, 4, requires_grad=True)
    loss = cross_entropy(student, torch.tensor([-1, 2, -1]), torch.ones(4), smoothing)
    loss.sum().backward()
    assert student.grad is not None
    assert loss[[0, 2]].tolist() == [0, 0]
    assert student.grad[[0, 2]].abs().sum() == 0
    assert student.grad[1].abs().sum() > 0


def test_the_mean_is_over_what_counts() -> None:
    loss = torch.tensor([1.0, math.nan, 3.0])
    assert mean_over(loss, torch.tensor([True, False, True])).item() == 2
    assert mean_over(loss, torch.zeros(3, dtype=torch.bool)).item() == 0
