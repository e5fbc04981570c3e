"""Distillation losses beside KL, against their closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mtkd_cli.interfaces import InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.losses import dkd_loss, kl_divergence, relational, squared_logits, standardized
from mtkd_tasks.classification import Classification

KINDS = ("kl", "mse", "dkd", "dist")


def logits(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2


def task(kd: str, standardize: bool = False) -> Classification:
    data = TaskData(tuple("abcde"), np.arange(5), InputSpec())
    return Classification(data, LossOptions(), kd=kd, standardize=standardize)


@given(st.integers(0, 1000), st.sampled_from([1.0, 2.0, 4.0]))
def test_decoupled_is_kl_where_the_others_weigh_what_the_teacher_gives_them(
    seed: int, temperature: float
) -> None:
    """``KL(p || q) = KL(target against rest) + (1 - p_target) KL(among the rest)``."""
    student, teacher = logits(seed, 6, 5), logits(seed + 1, 6, 5)
    p = torch.softmax(teacher / temperature, 1)
    of_target = dkd_loss(student, teacher, temperature, 1.0, 0.0)
    among = dkd_loss(student, teacher, temperature, 0.0, 1.0)
    expected = kl_divergence(student, p, temperature)
    torch.testing.assert_close(of_target + (1 - p.max(1).values) * among, expected, atol=1e-4, rtol=1e-4)


def test_relational_is_one_minus_pearsons_correlations() -> None:
    student, teacher, temperature = logits(0, 6, 5), logits(1, 6, 5), 2.0
    q, p = (np.asarray(torch.softmax(side / temperature, 1)) for side in (student, teacher))
    within = [1 - np.corrcoef(q[i], p[i])[0, 1] for i in range(6)]
    across = np.mean([1 - np.corrcoef(q[:, c], p[:, c])[0, 1] for c in range(5)])
    expected = torch.tensor(temperature**2 * (np.array(within) + across), dtype=torch.float32)
    torch.testing.assert_close(relational(student, teacher, temperature), expected, atol=1e-5, rtol=1e-5)


def test_relational_of_one_sample_compares_its_classes_only() -> None:
    assert torch.isfinite(relational(logits(0, 1, 5), logits(1, 1, 5), 1.0)).all()


def test_squared_logits_are_averaged_over_classes() -> None:
    loss = squared_logits(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 1.0]]))
    assert loss.tolist() == [2.5]


def test_standardized_logits_forget_shift_and_scale() -> None:
    given_ = logits(0, 4, 5)
    torch.testing.assert_close(standardized(given_ * 7 - 3), standardized(given_))
    torch.testing.assert_close(standardized(given_).mean(1), torch.zeros(4), atol=1e-6, rtol=0)
    expected = (given_ - given_.mean(1, keepdim=True)) / given_.std(1, keepdim=True)  # as the paper's code
    torch.testing.assert_close(standardized(given_), expected)
    assert (standardized(torch.ones(2, 5)) == 0).all()


@pytest.mark.parametrize("kd", KINDS)
@pytest.mark.parametrize("standardize", [False, True])
def test_a_student_that_answers_as_the_teacher_has_no_loss(kd: str, standardize: bool) -> None:
    same = logits(0, 6, 5)
    loss = task(kd, standardize).kd_loss(same, Merged((same, same), torch.full((2, 6), 0.5)), 2.0)
    torch.testing.assert_close(loss, torch.zeros(6), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kd", KINDS)
@pytest.mark.parametrize("standardize", [False, True])
def test_three_identical_teachers_teach_as_strongly_as_one(kd: str, standardize: bool) -> None:
    teacher, gradients = logits(1, 6, 5), []
    for teachers in (1, 3):
        student = logits(0, 6, 5).requires_grad_()
        merged = Merged((teacher,) * teachers, torch.full((teachers, 6), 1 / teachers))
        task(kd, standardize).kd_loss(student, merged, 2.0).sum().backward()
        gradients.append(student.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kd", KINDS)
@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_certain_teachers_and_students_give_finite_gradients(kd: str, scale: float) -> None:
    student = (logits(0, 6, 5) * scale).requires_grad_()
    merged = Merged((logits(1, 6, 5) * scale, student.detach()), torch.full((2, 6), 0.5))
    task(kd).kd_loss(student, merged, 1.0).sum().backward()
    assert student.grad is not None
    assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("kd", KINDS)
def test_a_combined_answer_is_learnt_too(kd: str) -> None:
    student, combined = logits(0, 6, 5), logits(1, 6, 5)
    alone = task(kd).kd_loss(student, Merged((combined,), torch.ones(1, 6)), 2.0)
    torch.testing.assert_close(task(kd).kd_loss(student, Merged((combined,), combined=combined), 2.0), alone)
