"""Task `classification`: mixing, losses, metrics."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mtkd_cli.errors import UsageError
from mtkd_cli.interfaces import InputSpec, LossOptions, Merged, TaskData
from mtkd_cli.recipe.schema import Loss, Store
from mtkd_cli.store.row_format import Layout
from mtkd_tasks.classification import Classification

CLASSES = ("a", "b", "c", "d")


def task(targets: tuple[int, ...] = (0,), **loss: object) -> Classification:
    return Classification(TaskData(CLASSES, np.array(targets), InputSpec()), LossOptions(**loss))  # type: ignore[arg-type]


def logits(*probabilities: list[float]) -> Tensor:
    return torch.tensor(probabilities).log()


def test_error_is_cross_entropy() -> None:
    sure, unsure = [0.7, 0.1, 0.1, 0.1], [0.25] * 4
    error = task().error([logits(sure, sure), logits(unsure, unsure)], torch.tensor([0, -1]))
    torch.testing.assert_close(error, -torch.tensor([[0.7, 1.0], [0.25, 1.0]]).log())


def test_error_ignores_smoothing_and_class_weights() -> None:
    """They only apply to the student's loss."""
    given = task(label_smoothing=0.5, class_weights=(9.0, 1.0, 1.0, 1.0))
    error = given.error([logits([0.7, 0.1, 0.1, 0.1])], torch.tensor([0]))
    assert error.item() == pytest.approx(-math.log(0.7), rel=1e-5)


def test_uncertainty_is_from_0_to_1() -> None:
    outputs = [torch.tensor([[1e4, 0, 0, 0], [0, 0, 0, 0]]), logits([0.5, 0.5, 0, 0], [1, 0, 0, 0])]
    torch.testing.assert_close(task().uncertainty(outputs), torch.tensor([[0, 1], [0.5, 0]]))


def test_mixes_probabilities() -> None:
    first, second = [0.4, 0.3, 0.2, 0.1], [0.1, 0.1, 0.1, 0.7]
    mixed = task().mix(Merged((logits(first), logits(second)), torch.tensor([[0.25], [0.75]])))
    expected = 0.25 * torch.tensor([first]) + 0.75 * torch.tensor([second])
    torch.testing.assert_close(mixed.exp(), expected)
    torch.testing.assert_close(torch.softmax(mixed, 1), expected)


def test_mixture_of_certain_teachers_is_finite() -> None:
    mixed = task().mix(Merged((torch.tensor([[1e4, -1e4, 0, 0]]),) * 2, torch.full((2, 1), 0.5)))
    assert torch.isfinite(mixed).all()
    assert mixed.argmax().item() == 0


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0, 8.0])
def test_kd_gradient_is_weighted_sum_over_teachers(temperature: float) -> None:
    """``sum_k w_k T (q - p_k)``: the loss is multiplied by the squared temperature."""
    student, *teachers = torch.randn(4, 5, 4, generator=torch.Generator().manual_seed(0)) * 2
    student.requires_grad_()
    weights = torch.softmax(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), 0)
    task().kd_loss(student, Merged(tuple(teachers), weights), temperature).sum().backward()
    q = torch.softmax(student.detach() / temperature, 1)
    expected = sum(
        (
            w[:, None] * temperature * (q - torch.softmax(t / temperature, 1))
            for w, t in zip(weights, teachers, strict=True)
        ),
        torch.zeros(()),
    )
    assert student.grad is not None
    torch.testing.assert_close(student.grad, expected, atol=1e-6, rtol=1e-4)


def test_kd_to_a_combined_answer() -> None:
    student, combined = torch.randn(2, 3, 4)
    loss = task().kd_loss(student, Merged((combined,), combined=combined), 3.0)
    p, q = torch.softmax(combined / 3, 1), torch.softmax(student / 3, 1)
    torch.testing.assert_close(loss, 9 * (p * (p / q).log()).sum(1))


def test_mixes_half_precision_in_float32() -> None:
    student, teacher = torch.randn(2, 3, 4)
    half, full = (Merged((t,), torch.ones(1, 3)) for t in (teacher.half(), teacher.half().float()))
    assert torch.equal(task().kd_loss(student, half, 2.0), task().kd_loss(student, full, 2.0))


def test_task_loss_is_0_without_label() -> None:
    loss = task(label_smoothing=0.1).task_loss(torch.zeros(2, 4), torch.tensor([-1, 2]))
    torch.testing.assert_close(loss, torch.tensor([0, math.log(4)]))


def test_balanced_weights_are_inverse_frequencies() -> None:
    given = task((0, 0, 0, 1, -1, -1, 2, 3), class_weights="balanced")
    assert given.class_weights is not None
    weights = given.class_weights
    torch.testing.assert_close(weights, torch.tensor([0.5, 1.5, 1.5, 1.5]))
    loss = given.task_loss(torch.zeros(6, 4), torch.tensor([0, 0, 0, 1, 2, 3]))
    assert loss.mean().item() == pytest.approx(math.log(4))


def test_balanced_weights_ignore_missing_class() -> None:
    given = task((0, 0, 1, 2), class_weights="balanced")
    assert given.class_weights is not None
    assert torch.isfinite(given.class_weights).all()
    assert given.class_weights[[0, 0, 1, 2]].mean().item() == pytest.approx(1)


def test_rejects_wrong_number_of_class_weights() -> None:
    assert task(class_weights=(1.0, 2.0, 3.0, 4.0)).class_weights is not None
    with pytest.raises(UsageError, match="2 weights for 4 classes"):
        task(class_weights=(1.0, 2.0))


def test_accuracy_is_first_metric() -> None:
    output = logits([0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1], [0.7, 0.1, 0.1, 0.1])
    metrics = task().metrics(task().statistics(output, torch.tensor([0, 1, 2, 0])))
    assert next(iter(metrics)) == task().primary.name == "accuracy"
    assert metrics["accuracy"] == 0.75
    assert metrics["nll"] == pytest.approx(-(3 * math.log(0.7) + math.log(0.1)) / 4)
    assert metrics["ece"] == pytest.approx(0.05, abs=1e-6)


def test_accuracy_breaks_ties_by_first_class() -> None:
    assert task().metrics(task().statistics(torch.zeros(4, 4), torch.arange(4)))["accuracy"] == 0.25


def test_matches_torchmetrics() -> None:
    from torchmetrics.functional.classification import multiclass_accuracy

    output = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 2
    target = torch.randint(0, 4, (500,), generator=torch.Generator().manual_seed(1))
    metrics = task().metrics(task().statistics(output, target))
    accuracy = multiclass_accuracy(output.softmax(1), target, 4, average="micro")
    assert metrics["accuracy"] == pytest.approx(accuracy.item())


def test_metrics_skip_unlabeled_samples() -> None:
    output = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    some = task().statistics(output, torch.tensor([0, -1, 2, -1, 1, -1]))
    only = task().statistics(output[::2], torch.tensor([0, 2, 1]))
    assert task().metrics(some) == task().metrics(only)


def test_details_have_confusion_and_reliability() -> None:
    target = torch.tensor([0, 0, 1, 2, 3, -1])
    nine = 9 * torch.eye(4)
    output = torch.stack([nine[0], nine[1], nine[1], nine[2] / 90, nine[3], nine[0]])
    details = task().details(task().statistics(output, target))
    assert details.confusion == ((1, 1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    assert details.per_class == {"recall": (0.5, 1.0, 1.0, 1.0), "precision": (1.0, 0.5, 1.0, 1.0)}
    unsure, sure = details.reliability
    assert unsure == (pytest.approx(0.2692, abs=1e-4), 1.0, 1)
    assert sure == (pytest.approx(0.9996, abs=1e-4), 0.75, 4)


def recipe(temperature: float = 1, calibrate: bool = False, **store: Any) -> Any:
    return SimpleNamespace(store=Store(**store), loss=Loss(temperature=temperature), calibrate=calibrate)


def many(classes: int, kd: str = "kl") -> Classification:
    names = tuple(map(str, range(classes)))
    return Classification(TaskData(names, np.array([0]), InputSpec()), LossOptions(), kd=kd)


def test_records_the_50_largest_of_1000_classes_on_training_views() -> None:
    def kept(classes: int, outputs: int, split: str = "train", kd: str = "kl", **options: Any) -> int | None:
        return Layout.for_recipe((outputs,), recipe(**options), many(classes, kd), split).top_k

    assert kept(1000, 1000) == kept(21841, 21841) == kept(1000, 500) == 50
    assert kept(999, 999) is kept(1000, 1000, "val") is kept(1000, 1000, "test") is None
    assert kept(1000, 1000, top_k=None) is kept(1000, 1000, temperature=2) is None
    assert kept(1000, 1000, calibrate=True) is kept(1000, 1000, kd="dist") is None
    assert kept(1000, 21841) is None  # its largest classes may be others than the data's
    assert kept(1000, 21841, top_k=20) == kept(1000, 1000, "val", top_k=20) == 20
    assert kept(1000, 30) is None


def test_target_of_the_50_largest_is_close_to_the_whole() -> None:
    torch.manual_seed(0)
    outputs = 4 * torch.randn(64, 1000)
    layout = Layout.for_recipe((1000,), recipe(), many(1000))
    back = layout.decode(layout.encode(outputs)).softmax(1)
    whole, largest = outputs.softmax(1), outputs.topk(50).indices
    torch.testing.assert_close(back.gather(1, largest), whole.gather(1, largest), rtol=4e-3, atol=1e-5)
    rest = (1 - whole.gather(1, largest).sum(1)) / 950
    torch.testing.assert_close(back.scatter(1, largest, 9).amin(1), rest, rtol=4e-3, atol=1e-6)
    assert layout.dtype.itemsize == 204
