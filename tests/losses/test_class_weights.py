"""Class weights in the distillation loss shift the student's odds by the weights, at every temperature."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.interfaces import AggregationBatch, InputSpec, LossOptions, Merged, Task, TaskData
from mtkd_tasks.classification import Classification
from mtkd_tasks.multilabel import MultiLabel
from mtkd_tasks.segmentation import Segmentation

WEIGHTS = (0.5, 3.0, 1.0, 6.0)
W = torch.tensor(WEIGHTS, dtype=torch.float64)
NAMES = ("a", "b", "c", "d")


def classes(kd: str = "kl", weighted: bool = True) -> Task:
    data = TaskData(NAMES, np.zeros(1, np.int64), InputSpec())
    return Classification(data, LossOptions(class_weights=WEIGHTS if weighted else None), kd)


def pixels() -> Task:
    data = TaskData(NAMES, np.zeros((1, 1, 1), np.int16), InputSpec(size=1))
    return Segmentation(data, LossOptions(class_weights=WEIGHTS))


def minimizer(loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Return the logits that minimize a loss, over free logits."""
    free = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [free],
        lr=1,
        max_iter=500,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(free).sum()
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return free.detach()


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("make", [classes, pixels, lambda: classes("dkd"), lambda: classes("mse")])
def test_the_minimizer_has_w_times_the_odds_of_the_teacher(
    make: Callable[[], Task], temperature: float
) -> None:
    """Closed form: softmax(minimizer) is proportional to w times softmax(teacher), unsoftened."""
    task = make()
    teacher = torch.tensor([[1.2, -0.3, 0.4, -1.0]]).view(1, 4, *(1,) * len(task.elements))
    merged = Merged((teacher,), torch.ones(1, 1, *task.elements))
    found = minimizer(lambda free: task.kd_loss(free, merged, temperature), torch.zeros_like(teacher))
    wanted = W * teacher.flatten().double().softmax(0)
    assert found.flatten().softmax(0).tolist() == pytest.approx((wanted / wanted.sum()).tolist(), abs=2e-3)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_balanced_multilabel_weights_shift_the_odds_of_presence(temperature: float) -> None:
    """One of four samples has the class: its balance is 3, so the odds are three times the teacher's."""
    labels = np.array([[1.0], [0.0], [0.0], [0.0]], np.float32)
    task = MultiLabel(TaskData(("a",), labels, InputSpec()), LossOptions(class_weights="balanced"))
    merged = Merged((torch.tensor([[-0.7]]),), torch.ones(1, 1))
    found = minimizer(lambda free: task.kd_loss(free, merged, temperature), torch.zeros(1, 1))
    assert found.exp().item() == pytest.approx(3 * np.exp(-0.7), rel=2e-3)


def test_a_list_weighs_the_classes_of_multilabel_in_both_losses() -> None:
    data = TaskData(("a", "b"), np.array([[1.0, 0.0]], np.float32), InputSpec())
    student, teacher = torch.tensor([[0.3, -0.2]]), torch.tensor([[2.0, 1.0]])
    merged = Merged((teacher,), torch.ones(1, 1))
    found = MultiLabel(data, LossOptions(class_weights=(4.0, 1.0))).kd_loss(student, merged, 2.0)
    p, q = (teacher / 2).sigmoid(), (student / 2).sigmoid()
    gap = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(found, 4 * (gap * torch.tensor([[4.0, 1.0]])).mean(dim=1))


def test_at_temperature_1_it_is_the_weighted_cross_entropy_to_the_mixture() -> None:
    """Over several teachers the gradient is that of -sum_c w_c p_c log q_c, p their weighted mean."""
    random = torch.Generator().manual_seed(0)
    first, second, student = (torch.randn(5, 4, generator=random) for _ in range(3))
    shares = torch.rand(5, generator=random)
    student.requires_grad_()
    merged = Merged((first, second), torch.stack([shares, 1 - shares]))
    (found,) = torch.autograd.grad(classes().kd_loss(student, merged, 1.0).sum(), student)
    mixture = shares[:, None] * first.softmax(1) + (1 - shares[:, None]) * second.softmax(1)
    loss = -(W.float() * mixture * student.log_softmax(1)).sum()
    torch.testing.assert_close(found, torch.autograd.grad(loss, student)[0])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_to_a_certain_teacher_both_losses_count_alike(temperature: float) -> None:
    student, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    teacher = torch.nn.functional.one_hot(labels, 4) * 1e4
    found = classes().kd_loss(student, Merged((teacher.float(),), torch.ones(1, 6)), temperature)
    weighted = temperature**2 * classes().task_loss(student / temperature, labels)
    torch.testing.assert_close(found, weighted)


def test_a_combined_answer_is_shifted_too() -> None:
    teacher, student = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    one = Merged((teacher,), torch.ones(1, 3))
    combined = Merged((), combined=teacher)
    for kd in ("kl", "mse", "dkd", "dist"):
        task = classes(kd)
        torch.testing.assert_close(task.kd_loss(student, one, 2.0), task.kd_loss(student, combined, 2.0))


def test_a_weight_of_0_is_a_class_that_is_not_learned() -> None:
    data = TaskData(NAMES, np.zeros(1, np.int64), InputSpec())
    task = Classification(data, LossOptions(class_weights=(0.0, 1.0, 1.0, 1.0)))
    teacher = torch.tensor([[1.0, 0.0, 0.5, -1.0]])
    merged = Merged((teacher,), torch.ones(1, 1))
    found = minimizer(lambda free: task.kd_loss(free, merged, 1.0), torch.zeros(1, 4)).softmax(1)
    assert found[0, 0].item() < 1e-3
    assert found[0, 1:].tolist() == pytest.approx(teacher[0, 1:].softmax(0).tolist(), abs=2e-3)


def test_without_class_weights_nothing_changes() -> None:
    assert classes().without_class_weights().class_weights is None  # type: ignore[attr-defined]
    teacher, student = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    merged = Merged((teacher,), torch.ones(1, 3))
    plain = classes(weighted=False).kd_loss(student, merged, 2.0)
    assert torch.equal(classes().without_class_weights().kd_loss(student, merged, 2.0), plain)


def test_consensus_compares_teachers_without_class_weights() -> None:
    from mtkd_aggregators.consensus import Consensus

    outputs = tuple(torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0)))
    found = [
        Consensus(0.1, "sample").weights(
            AggregationBatch(outputs, ("x", "y", "z"), tuple("abcdef"), 2.0, 1.0, classes(weighted=weighted))
        )
        for weighted in (True, False)
    ]
    torch.testing.assert_close(*found)
